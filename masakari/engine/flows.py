"""Which steps a recovery takes, in which order, as `[taskflow_driver_recovery_flows]` says.

Steps are found by the names of their entry points, ours and those of third parties alike.  The
names of logbooks and flows are OpenStack's; clients see the names of the steps.
"""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from oslo_config import cfg
from taskflow import task

from masakari import context
from masakari.engine.step import Step
from masakari.engine.world import Job
from masakari.errors import ConfigInvalid

GROUP = "taskflow_driver_recovery_flows"
NAMESPACE = "masakari.task_flow.tasks"

Factory = Callable[..., task.Task]


@dataclass(frozen=True)
class Parts:
    """The steps of one kind of recovery."""

    pre: tuple[Factory, ...]
    main: tuple[Factory, ...]
    post: tuple[Factory, ...]

    @property
    def all(self) -> tuple[Factory, ...]:
        """In their order."""
        return self.pre + self.main + self.post


@dataclass(frozen=True)
class Flows:
    """The steps of all kinds."""

    host_auto: Parts
    host_reserved: Parts
    """`main` is done for one reserved host after the other"""
    instance: Parts
    process: Parts


@dataclass(frozen=True)
class Chapter:
    """Steps in order, what they may ask for, and the names under which TaskFlow keeps them."""

    name: str
    """differs from the other chapters of an attempt"""
    book: str
    flow: str
    steps: Sequence[task.Task]
    store: Mapping[str, Any]
    """JSON"""


def load(conf: cfg.ConfigOpts) -> Flows:
    """The flows that the options describe.  Raises ConfigInvalid, which names what is wrong."""
    # read once: each look reads the metadata of all installed packages
    installed = {entry.name: entry for entry in metadata.entry_points(group=NAMESPACE)}

    def parts(option: str) -> Parts:
        wanted = conf[GROUP][option]
        return Parts(
            **{
                part: tuple(_factory(installed, option, name) for name in wanted.get(part, ()))
                for part in ("pre", "main", "post")
            }
        )

    return Flows(
        host_auto=parts("host_auto_failure_recovery_tasks"),
        host_reserved=parts("host_rh_failure_recovery_tasks"),
        instance=parts("instance_failure_recovery_tasks"),
        process=parts("process_failure_recovery_tasks"),
    )


def host_chapter(job: Job, name: str, factories: Sequence[Factory], **store: Any) -> Chapter:
    """A part of a host's recovery; *store*: reserved_host, reserved_host_list."""
    return Chapter(
        name=name,
        book="instance:evacuate",
        flow="instance_evacuate_engine",
        steps=_steps(job, factories),
        store={"host_name": job.host.name, "notification_uuid": job.uuid, **store},
    )


def instance_chapter(job: Job, name: str, factories: Sequence[Factory]) -> Chapter:
    """A part of a VM's recovery."""
    return Chapter(
        name=name,
        book="instance:recovery",
        flow="instance_recovery_engine",
        steps=_steps(job, factories),
        store={
            "instance_uuid": job.vm,
            "notification_uuid": job.uuid,
        },
    )


def process_chapter(job: Job, name: str, factories: Sequence[Factory]) -> Chapter:
    """What is done about a process."""
    return Chapter(
        name=name,
        book="process:recovery",
        flow="process_recovery_engine",
        steps=_steps(job, factories),
        store={
            "process_name": job.notification.payload["process_name"],
            "host_name": job.host.name,
            "notification_uuid": job.uuid,
        },
    )


# ---- finding the steps


def _factory(installed: Mapping[str, metadata.EntryPoint], option: str, name: str) -> Factory:
    found = installed.get(name)
    if found is None:
        raise ConfigInvalid(
            group=GROUP, option=option, problem=f"no installed package has a task {name!r}"
        )
    try:
        factory = found.load()
    except Exception as e:  # whatever the import of somebody's module raises
        raise ConfigInvalid(
            group=GROUP,
            option=option,
            problem=f"task {name!r} ({found.value}) cannot be loaded: {type(e).__name__}: {e}",
        ) from e
    if not (inspect.isclass(factory) and issubclass(factory, task.Task)):
        raise ConfigInvalid(
            group=GROUP,
            option=option,
            problem=f"task {name!r} ({found.value}) is no class of TaskFlow's tasks",
        )
    made: Factory = factory
    return made


# ---- making them


def _steps(job: Job, factories: Sequence[Factory]) -> list[task.Task]:
    made = [_make(job, factory) for factory in factories]
    names: dict[str, int] = {}
    for step in made:  # TaskFlow wants each name once in a flow
        names[step.name] = count = names.get(step.name, 0) + 1
        if count > 1:
            step.name = f"{step.name}_{count}"
    return made


def _make(job: Job, factory: Factory) -> task.Task:
    """The task, made with those of the documented keywords that its constructor has."""
    offered: dict[str, Any] = {
        "context": context.admin_context(job.notification.request_id),
        "novaclient": job.world.cloud,
        "update_host_method": functools.partial(_use, job) if job.spare else None,
    }
    accepted = inspect.signature(factory).parameters
    takes_all = any(p.kind == p.VAR_KEYWORD for p in accepted.values())
    made = factory(**{k: value for k, value in offered.items() if takes_all or k in accepted})
    if isinstance(made, Step):
        made.join(job)
    return made


def _use(job: Job, _context: object, host_name: str, reserved: bool = False) -> None:
    """A third-party task has moved a VM to the reserved host: it is reserved no more."""
    if job.spare is not None and not reserved:
        job.spare.landed(host_name)
