"""The instance monitors, put together."""

import pathlib
import re

from oslo_config import cfg

from masakari import clock as clock_
from masakari import contacts as contacts_
from masakari import errors
from masakari import pulse as pulse_
from masakari.metrics import UNMETERED, Meter
from masakari.monitors import memory, report, teller
from masakari.monitors.instances import heartbeat
from masakari.monitors.instances.agents import MOST_ASKED, LibvirtAgents
from masakari.monitors.instances.facts import Kind
from masakari.monitors.instances.guests import Guests
from masakari.monitors.instances.hypervisor import MOST_CALLS, Hypervisor
from masakari.monitors.instances.inbox import Inbox
from masakari.monitors.instances.judge import Judge, Words
from masakari.monitors.instances.monitor import InstanceMonitor, Settings
from masakari.monitors.loops import Loops, outbox

INSTANCES, GUESTS = "instancemonitor", "introspectiveinstancemonitor"


def build(
    conf: cfg.ConfigOpts,
    clock: clock_.Clock,
    masakari: report.Masakari | None = None,
    *,
    name: str = INSTANCES,
    pulse: pulse_.Pulse | None = None,
    contacts: contacts_.Contacts | None = None,
    meter: Meter = UNMETERED,
) -> Loops:
    """The monitor INSTANCES that *conf* describes, or the one that is only about GUESTS.

    Nothing is connected yet.  Raises ConfigInvalid, Unusable.
    """
    pulse = pulse or pulse_.Pulse(clock)
    contacts = contacts or contacts_.Contacts(clock)
    wake = clock.event()
    inbox = Inbox(wake.set)
    first = _hypervisor(conf, clock, inbox=inbox, wake=wake)
    hypervisors = [first]
    box = outbox(
        conf,
        clock,
        report.Noted(masakari or report.connect(conf), contacts),
        name,
        retry_interval_s=conf.callback.retry_interval,
        retry_alarm=conf.callback.retry_max,
        meter=meter,
    )
    voice = teller.Teller(box, clock, pulse, meter=meter)
    loops = []
    guests = None
    if name == GUESTS or conf.instance.guest_heartbeats:
        writing = [
            _hypervisor(conf, clock, wake=wake, most_calls=most_calls)
            for most_calls in (MOST_CALLS, MOST_CALLS, MOST_ASKED)
        ]
        hypervisors += writing
        guests = Guests(
            LibvirtAgents(
                *writing, timeout_s=conf.introspectiveinstancemonitor.guest_monitoring_timeout
            ),
            inbox,
            clock,
            limits=_limits(conf),
            parallel=conf.introspectiveinstancemonitor.parallel,
            pulse=pulse,
            meter=meter,
        )
        loops.append(("guests", guests.run))
    monitor = InstanceMonitor(
        _settings(conf, name),
        hypervisors,
        inbox=inbox,
        judge=Judge(_report_also(conf)),
        guests=guests,
        teller=voice,
        memory=memory.Memory(pathlib.Path(conf.state_path, f"{name}.json")),
        clock=clock,
        wake=wake,
        pulse=pulse,
        contacts=contacts,
        meter=meter,
    )

    def wake_all() -> None:
        wake.set()
        voice.wake()

    return Loops([("instances", monitor.run), *loops, ("reports", voice.run)], wake_all)


def _hypervisor(
    conf: cfg.ConfigOpts,
    clock: clock_.Clock,
    *,
    wake: clock_.Event,
    inbox: Inbox | None = None,
    most_calls: int = MOST_CALLS,
) -> Hypervisor:
    """A connection: one that hears events into *inbox* and only reads, or one that may write."""
    return Hypervisor(
        conf.libvirt.connection_uri,
        clock,
        timeout_s=conf.libvirt.timeout,
        keepalive_s=conf.libvirt.keepalive_interval,
        most_calls=most_calls,
        is_read_only=inbox is not None,
        heard=None if inbox is None else inbox.put,
        lost=wake.set,
    )


def _settings(conf: cfg.ConfigOpts, name: str) -> Settings:
    guests = conf.introspectiveinstancemonitor
    try:
        agent_path = re.compile(guests.qemu_guest_agent_sock_path)
    except re.error as e:
        raise errors.ConfigInvalid(
            group="introspectiveinstancemonitor",
            option="qemu_guest_agent_sock_path",
            problem=f"it is no regular expression: {e}",
        ) from None
    return Settings(
        hostname=conf.hostname,
        reconcile_s=conf.libvirt.reconcile_interval,
        reconnect_max_s=conf.libvirt.reconnect_max,
        nova_only=conf.instance.nova_only,
        tells_events=name == INSTANCES,
        default_kind=Kind(guests.default_kind),
        flavor_kinds=_flavor_kinds(conf),
        metadata_key=guests.metadata_key,
        agent_path=agent_path,
        silent_s=conf.alarms.silent_age,
    )


def _flavor_kinds(conf: cfg.ConfigOpts) -> dict[str, Kind]:
    try:
        kinds = conf.introspectiveinstancemonitor.flavor_kinds
        return {flavor: Kind(kind.lower()) for flavor, kind in kinds.items()}
    except ValueError as e:
        raise errors.ConfigInvalid(
            group="introspectiveinstancemonitor",
            option="flavor_kinds",
            problem=f"{e}: off, heartbeat or heartbeat-io",
        ) from None


def _limits(conf: cfg.ConfigOpts) -> heartbeat.Limits:
    guests = conf.introspectiveinstancemonitor
    return heartbeat.Limits(
        interval_s=guests.guest_monitoring_interval,
        threshold=guests.guest_monitoring_failure_threshold,
        io_silence_s=guests.io_silence,
        most_silent=guests.most_silent,
    )


def _report_also(conf: cfg.ConfigOpts) -> list[Words]:
    found = []
    for text in conf.instance.report_also:
        event, slash, detail = text.partition("/")
        if not (event and slash and detail):
            raise errors.ConfigInvalid(
                group="instance",
                option="report_also",
                problem=f"{text!r} is not of the form EVENT/DETAIL",
            )
        found.append((event, detail))
    return found
