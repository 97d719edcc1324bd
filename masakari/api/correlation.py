"""Which reports tell of one failure, and who tells."""

import re
from collections.abc import Mapping

from oslo_config import cfg

from masakari import vm_events
from masakari.api.request import Request
from masakari.db import sqltext
from masakari.db.reports import Likeness
from masakari.states import NotificationType
from masakari.vm_events import VmEventAction

Payload = Mapping[str, str]

MONITOR_HEADER = "X-Masakari-Monitor"
MOST_CHARACTERS = 255
_NAME = re.compile("[!-~](?:[ -~]{0,126}[!-~])?")


def likeness(conf: cfg.ConfigOpts, type_: str, payload: Payload) -> Likeness:
    """For a report of that type (a states.NotificationType), with the windows of the options."""
    equal_s: float = conf.duplicate_notification_detection_interval
    alike_s: float | None = conf.notification_correlation_interval
    if alike_s is None:
        alike_s = equal_s
    overrides = conf.instance_failure.events
    if not alike_s:
        return Likeness(equal_s)
    if type_ == NotificationType.COMPUTE_HOST:
        return Likeness(equal_s, alike_s, lambda one, other: _of_host(one) == _of_host(other))
    if type_ == NotificationType.VM and _failed_vm(payload, overrides):
        return Likeness(
            equal_s,
            alike_s,
            lambda one, other: _failed_vm(one, overrides) == _failed_vm(other, overrides),
            about=payload["instance_uuid"],
        )
    return Likeness(equal_s)  # what is said of a process is its name and its event: equal or not


def _of_host(payload: Payload) -> tuple[str | None, str | None]:
    """What engines go by; `cluster_status` and the like are what one monitor saw besides."""
    return payload.get("event"), payload.get("host_status")


def _failed_vm(payload: Payload, overrides: Mapping[str, str]) -> str | None:
    """Uuid of the VM; None: it is not told of one that is to be restarted."""
    if vm_events.action_of(payload, overrides) is not VmEventAction.RESTART:
        return None
    return sqltext.canonical_uuid(payload.get("instance_uuid", ""))


def reporter(req: Request) -> str:
    """The monitor, as it names itself; and whose token it has, and its address.

    The name is only what it says, so what Keystone and the network say stands beside it.
    """
    said = req.http.headers.get(MONITOR_HEADER, "").strip()
    seen = f"user {req.ctx.user_id or 'unknown'} from {req.http.remote_addr or 'unknown'}"
    told = f"{said} ({seen})" if _NAME.fullmatch(said) else seen
    return told[:MOST_CHARACTERS]  # a proxy may hand on addresses without end
