"""What the failure of a process on a compute host leads to, and how it is undone.

Without nova-compute Nova cannot act on the host, so its service takes no new VMs and the host is
on maintenance until the process runs again.  No other process puts a host on maintenance.
"""

import contextlib
from dataclasses import dataclass

from oslo_config import cfg
from oslo_log import log

from masakari import cloud, db
from masakari.clock import wait_until
from masakari.cloud import ComputeService
from masakari.engine import announcements
from masakari.engine.gates import Verdict
from masakari.engine.step import Step
from masakari.engine.world import Job
from masakari.errors import (
    HostTaken,
    NotificationNotFound,
    RecoveryCancelled,
    RecoveryError,
)
from masakari.states import (
    Event,
    NotificationStatus,
    NotificationType,
    ProcessAction,
    Reason,
)

LOG = log.getLogger(__name__)

NOVA_COMPUTE = "nova-compute"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the failure of one process leads to."""

    action: ProcessAction
    marks: bool
    """the host is on maintenance as long"""

    @property
    def disables(self) -> bool:
        """The host's compute service is disabled."""
        return self.action == ProcessAction.DISABLE


def answer(conf: cfg.ConfigOpts, process: str) -> Answer:
    """By the configuration; that of nova-compute is fixed."""
    if process == NOVA_COMPUTE:
        return Answer(ProcessAction.DISABLE, marks=True)
    options = conf.process_failure
    return Answer(ProcessAction(options.processes.get(process, options.other_processes)), False)


class DisableComputeNodeTask(Step):
    """The scheduler places no VMs on the host."""

    def execute(self, process_name: str, host_name: str) -> None:
        """Disable the compute service, unless it is disabled already."""
        job = self.job
        if db.brake.is_cancelled(job.world.database, job.uuid):
            raise RecoveryCancelled(what=f"host {host_name} stays as it is")
        service = cloud.service_of(job.world.cloud, host_name)
        if not service.is_enabled:
            why = f" ({service.disabled_reason})" if service.disabled_reason else ""
            self.say(f"Compute service on host {host_name} is disabled already{why}.", 1.0)
            return
        self.say(f"Process {process_name} failed: disabling host {host_name}.", 0.0)
        reason = job.world.conf.process_failure.service_disable_reason
        job.world.cloud.disable_service(service, reason, leave=job.lease.check)
        self.say(f"Compute service on host {host_name} is to be disabled.", 1.0)


class ConfirmComputeNodeDisabledTask(Step):
    """Nova says that the service is disabled."""

    def execute(self, process_name: str, host_name: str) -> None:
        """Wait until it does."""
        job, world = self.job, self.job.world
        self.say(f"Waiting for Nova to show host {host_name} disabled.", 0.0)
        timeout_s = world.conf.wait_period_after_service_update

        def is_disabled() -> bool:
            job.lease.check()
            return not cloud.service_of(world.cloud, host_name).is_enabled

        every = world.conf.verify_interval
        if not wait_until(world.clock, is_disabled, timeout_s, every, soonest=0.1):
            raise RecoveryError(
                f"Awaited the compute service of host {host_name} to be disabled for "
                f"{timeout_s:g} s; Nova still shows it enabled."
            )
        self.say(f"Compute service on host {host_name} is disabled.", 1.0)


def disabled(job: Job, answer: Answer) -> Verdict:
    """The host takes no new VMs; with nova-compute gone it is on maintenance, too."""
    host, name = job.host, job.notification.payload["process_name"]
    text = f"Process {name} has failed: host {host.name} takes no new VMs"
    if answer.marks:
        if not db.hosts.begin_maintenance(job.world.database, host.uuid, by=job.uuid):
            raise HostTaken(host=host.name)
        announcements.host_changed(job, not host.on_maintenance)
        text += " and is on maintenance"
    return Verdict(NotificationStatus.FINISHED, Reason.SERVICE_DISABLED, f"{text}.")


def started(job: Job) -> Verdict:
    """What the process's failure had changed is undone, and nothing else."""
    host, name = job.host, job.notification.payload["process_name"]
    recorded = only_recorded(job)
    if recorded is not None:
        return recorded
    ours = answer(job.world.conf, name)
    undone = [f"Process {name} has started"]
    if ours.marks and announcements.host_changed(
        job, db.hosts.end_process_maintenance(job.world.database, host.uuid)
    ):
        undone.append(f"host {host.name} is off maintenance")
    undone.append(_enable(job))
    text = f"{undone[0]}: {', '.join(undone[1:])}."
    return Verdict(NotificationStatus.FINISHED, Reason.PROCESS_STARTED, text)


def only_recorded(job: Job) -> Verdict | None:
    """Why nothing is to be undone although a process has started; None: something may be."""
    host, name = job.host, job.notification.payload["process_name"]
    newest = db.notifications.newest_process_events(job.world.database, host.uuid).get(name)
    if newest is not None and newest.id > job.notification.id:
        text = f"Process {name} on host {host.name} was reported again since: recorded."
    elif not answer(job.world.conf, name).disables:
        text = f"Process {name} on host {host.name} has started: recorded, nothing is to be undone."
    else:
        return None
    return Verdict(NotificationStatus.FINISHED, Reason.PROCESS_RECORDED, text)


def _enable(job: Job) -> str:
    """The service is enabled if we had disabled it, and nothing else keeps it so; what was done."""
    world, host = job.world, job.host
    service = cloud.service_of(world.cloud, host.name)
    if service.is_enabled:
        return "its compute service is enabled"
    if not _is_ours(service, world.conf.process_failure.service_disable_reason):
        why = service.disabled_reason or "no reason is given"
        return f"its compute service was disabled by somebody else and stays so ({why})"
    current = db.hosts.find(world.database, host.uuid)
    if current is not None and current.on_maintenance:
        return "its compute service stays disabled as long as the host is on maintenance"
    down = _still_down(job)
    if down:
        return f"its compute service stays disabled because of {', '.join(down)}"
    world.cloud.enable_service(service, leave=job.lease.check)
    return "its compute service is enabled again"


def would_enable(job: Job) -> bool:
    """Whether what a process's failure had changed on the host is still so."""
    world, host = job.world, job.host
    service = cloud.service_of(world.cloud, host.name)
    is_disabled = not service.is_enabled and _is_ours(
        service, world.conf.process_failure.service_disable_reason
    )
    return is_disabled or is_marked(job)


def is_marked(job: Job) -> bool:
    """Whether the host is on maintenance because of a process."""
    if job.host.maintenance_by is None:
        return False
    with contextlib.suppress(NotificationNotFound):
        by = db.notifications.get(job.world.database, job.host.maintenance_by)
        return by.type == NotificationType.PROCESS
    return False


def _is_ours(service: ComputeService, reason: str) -> bool:
    given = service.disabled_reason
    return bool(given) and reason.startswith(str(given))  # Nova keeps 255 characters


def _still_down(job: Job) -> list[str]:
    """Other processes whose failure has disabled the service."""
    newest = db.notifications.newest_process_events(job.world.database, job.host.uuid)
    return sorted(
        name
        for name, n in newest.items()
        if name != job.notification.payload["process_name"]
        and n.payload.get("event") == Event.STOPPED
        and answer(job.world.conf, name).disables
    )
