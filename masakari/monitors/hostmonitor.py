"""The host monitor, put together."""

import datetime
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import stevedore
from oslo_config import cfg

from masakari import clock as clock_
from masakari import cloud as cloud_
from masakari import contacts as contacts_
from masakari import errors, nova
from masakari import pulse as pulse_
from masakari.metrics import UNMETERED, Meter
from masakari.monitors import core, judge, matrix, memory, outbox, pushes, report, watchlist
from masakari.monitors.hosts import second_opinion as opinion_
from masakari.monitors.hosts import together
from masakari.states import ClusterStatus, HostStatus, NotificationType
from masakari.states import Event as EventWord

NAMESPACE = "hostmonitor.driver"
PUSH_NAMESPACE = "hostmonitor.push"


class Driver(Protocol):
    """What an entry point in hostmonitor.driver gives: a maker of probes."""

    def from_conf(
        self,
        conf: cfg.ConfigOpts,
        hosts: watchlist.Watchlist,
        clock: clock_.Clock,
        *,
        cloud: cloud_.Cloud | None = None,
        second_opinion: opinion_.SecondOpinion | None = None,
    ) -> core.Probe:
        """The probe that *conf* describes.  Raises ConfigInvalid."""


def build(
    conf: cfg.ConfigOpts,
    clock: clock_.Clock,
    cloud: cloud_.Cloud | None = None,
    masakari: report.Masakari | None = None,
    second_opinion: opinion_.SecondOpinion | None = None,
    *,
    driver: str | None = None,
    pulse: pulse_.Pulse | None = None,
    contacts: contacts_.Contacts | None = None,
    kept: memory.Memory | None = None,
    meter: Meter = UNMETERED,
) -> core.Monitor:
    """The host monitor that *conf* describes; what is given replaces what is configured.

    *conf* needs the options of `conf.monitors.register`.  Nothing is sent yet.  Its rounds beat in
    *pulse*, or in one of which nobody knows; likewise *contacts*.
    What must survive a restart is *kept*.  Raises ConfigInvalid.
    """
    drivers = _drivers(driver or conf.host.monitoring_driver)
    if masakari is None:
        masakari = report.connect(conf)
    contacts = contacts or contacts_.Contacts(clock)
    masakari = report.Noted(masakari, contacts)
    if cloud is None:
        cloud = nova.connect_monitor(conf, clock, meter=meter, contacts=contacts)
    probes = {
        name: maker.from_conf(
            conf, watchlist.Watchlist(masakari), clock, cloud=cloud, second_opinion=second_opinion
        )
        for name, maker in drivers.items()
    }
    probe = _weighed(conf, probes, clock)
    box = outbox.Outbox(
        masakari,
        clock,
        notification,
        retry_interval_s=conf.host.api_retry_interval,
        retry_alarm=conf.host.api_retry_max,
        ask_again_s=conf.host.maintenance_retry_interval,
        meter=meter,
    )
    return core.Monitor(
        probe,
        judge.Judge(
            conf.host.monitoring_samples,
            myself=conf.hostname,
            rules=judge.Rules(
                reminder_s=conf.host.reminder_interval,
                delay_s=conf.host.death_delay,
                flapping_changes=conf.host.flapping_changes,
                flapping_s=conf.host.flapping_window,
                alive_share_min=conf.host.alive_share_min / 100,
                new_deaths_max=conf.host.new_deaths_max,
                spacing_s=conf.host.monitoring_interval,
            ),
            monotonic=clock.monotonic,
        ),
        box,
        clock,
        pulse=pulse or pulse_.Pulse(clock),
        late_s=conf.host.late_after,
        memory=kept,
        meter=meter,
        silent_s=conf.alarms.silent_age,
        interval_s=conf.host.monitoring_interval,
    )


def push_sources(
    conf: cfg.ConfigOpts, clock: clock_.Clock, wake: pushes.Wake
) -> Sequence[pushes.Source]:
    """Who wakes the monitor, by `[host] push`; not started.  Raises ConfigInvalid."""
    return [
        _load_source(name).from_conf(conf, clock, wake) for name in dict.fromkeys(conf.host.push)
    ]


def _load_source(name: str) -> Any:  # whatever the entry point names
    # each by itself: who does not want Nova's bus does not wait for its libraries
    found: stevedore.NamedExtensionManager[Any] = stevedore.NamedExtensionManager(
        PUSH_NAMESPACE, [name], on_missing_entrypoints_callback=lambda _missing: None
    )
    if name not in found:
        names = ", ".join(sorted(stevedore.ExtensionManager(PUSH_NAMESPACE).entry_points_names()))
        raise errors.ConfigInvalid(
            group="host", option="push", problem=f"there is no {name!r}; there is: {names}"
        )
    return found[name].plugin


def state_file(conf: cfg.ConfigOpts) -> memory.Memory:
    """What a host monitor keeps over a restart."""
    return memory.Memory(pathlib.Path(conf.state_path, "hostmonitor.json"))


def notification(event: judge.Event, generated_time: datetime.datetime) -> report.Notification:
    """The notification of a host's death or return, as the API wants it."""
    dead = event.state is judge.State.OFFLINE
    proof = {"proof": event.proof.value} if dead and event.proof else {}
    return {
        "type": NotificationType.COMPUTE_HOST.value,
        "hostname": event.subject,
        "generated_time": generated_time.isoformat(timespec="microseconds"),
        "payload": {
            "event": (EventWord.STOPPED if dead else EventWord.STARTED).value,
            "cluster_status": (ClusterStatus.OFFLINE if dead else ClusterStatus.ONLINE).value,
            "host_status": HostStatus.NORMAL.value,
            **proof,
        },
    }


def _drivers(listed: str) -> dict[str, Driver]:
    """{name: driver} of those that are listed, separated by commas.  Raises ConfigInvalid."""
    names = [name.strip() for name in listed.split(",")]
    return {name: _load(name) for name in names}


def _weighed(
    conf: cfg.ConfigOpts, probes: Mapping[str, core.Probe], clock: clock_.Clock
) -> core.Probe:
    """What looks with all drivers, as [host] matrix_file weighs them.  Raises ConfigInvalid."""
    window_s = max(4, 2 * conf.host.monitoring_samples) * conf.host.monitoring_interval
    path = conf.host.matrix_file
    if path is None:
        if len(probes) == 1:
            return next(iter(probes.values()))
        return together.Together(probes, matrix.Agreement(), window_s, clock)
    names = together.signals_of(probes)
    if len(names) == 1:
        problem = f"weighs several signals, and monitoring_driver gives but {names[0]}"
        raise errors.ConfigInvalid(group="host", option="matrix_file", problem=problem)
    rule = matrix.load(path, names, group="host", option="matrix_file")
    return together.Together(probes, rule, window_s, clock, rule.sequence)


def _load(name: str) -> Driver:
    """The driver of that name.  Raises ConfigInvalid."""
    drivers: stevedore.ExtensionManager[Any] = stevedore.ExtensionManager(NAMESPACE)
    if name not in drivers:
        names = ", ".join(sorted(drivers.names()))
        raise errors.ConfigInvalid(
            group="host",
            option="monitoring_driver",
            problem=f"the driver {name!r} is not available (yet); there is: {names}",
        )
    return drivers[name].plugin  # type: ignore[return-value]  # whatever the entry point names
