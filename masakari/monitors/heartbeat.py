"""A compute host says that it lives: it is a member of a group while this loop runs."""

import logging

from masakari import clock as clock_
from masakari import contacts as contacts_
from masakari import metrics
from masakari import pulse as pulse_
from masakari.monitors import groups

LOG = logging.getLogger(__name__)

LOOP = "heartbeat"
STALLED_S = 60.0


def run(
    group: groups.Group,
    clock: clock_.Clock,
    pulse: pulse_.Pulse,
    stop: clock_.Event,
    interval_s: float,
    *,
    contacts: contacts_.Contacts,
    meter: metrics.Meter,
) -> None:
    """Beat each *interval_s* seconds until *stop* is set; then leave the group."""
    trouble: str | None = None
    is_member = False
    pulse.expect(LOOP, interval_s + STALLED_S)
    while not stop.is_set():
        began = clock.monotonic()
        try:
            group.beat()
        except groups.Away as error:
            if trouble is None:
                LOG.warning("no heartbeat reaches the backend: %s", error)
            trouble = str(error)
            contacts.failed(contacts_.COORDINATION, trouble)
            meter.count(metrics.HEARTBEATS, "unanswered")
        else:
            if trouble is not None or not is_member:
                LOG.info("heartbeats reach the backend: this host is a member of the group")
            trouble, is_member = None, True
            contacts.answered(contacts_.COORDINATION)
            meter.count(metrics.HEARTBEATS, "ok")
        pulse.beat(LOOP)
        stop.wait(max(0.0, interval_s - (clock.monotonic() - began)))
    pulse.rest(LOOP)
    group.leave()
