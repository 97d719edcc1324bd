"""Delays before the first try, and pauses before the next one."""

import dataclasses
import datetime

import pytest

from masakari import db
from masakari.engine import patience
from masakari.errors import DuplicateNotification
from masakari.states import NotificationStatus, Reason
from masakari.tests.unit.db import rows

VM_FAILED = {
    "event": "LIFECYCLE",
    "vir_domain_event": "STOPPED_FAILED",
    "instance_uuid": "00000000-0000-4000-8000-000000000001",
}
PROCESS_FAILED = {"event": "STOPPED", "process_name": "nova-compute"}
PAYLOADS = {"COMPUTE_HOST": rows.STOPPED, "VM": VM_FAILED, "PROCESS": PROCESS_FAILED}
GROUPS = {
    "COMPUTE_HOST": "host_failure",
    "VM": "instance_failure",
    "PROCESS": "process_failure",
}


def reported(world, segment, type_="COMPUTE_HOST", payload=None):
    """A notification that nobody has claimed."""
    host = rows.host(world.database, "compute1", segment)
    return rows.report(
        world.database,
        host.name,
        type=type_,
        at=world.clock.now(),
        payload=payload or PAYLOADS[type_],
    )


# ---- the next try


def pauses(job, reason, failures):
    """Seconds until the next try after so many *failures* before this one; None: there is none."""
    found = []
    for count in failures:
        n = dataclasses.replace(job.notification, failures=count, attempt=count + 100)
        try_ = patience.next_try(job.world, n, reason)
        found.append(try_ and (try_.not_before - job.world.clock.now()).total_seconds())
    return found


def test_next_try_pauses_double_up_to_the_cap_until_the_limit(claim, conf):
    conf.set_override("process_unfinished_notifications_interval", 100)
    conf.set_override("retry_backoff_max", 500, "engine")
    conf.set_override("retry_limit", 6, "engine")

    found = pauses(claim(), Reason.VMS_NOT_RECOVERED, range(6))

    assert found == [100, 200, 400, 500, 500, None]


def test_next_try_cap_below_the_first_pause_does_not_shorten_it(claim, conf):
    conf.set_override("process_unfinished_notifications_interval", 100)
    conf.set_override("retry_backoff_max", 30, "engine")

    assert pauses(claim(), Reason.UNEXPECTED, [0, 1]) == [100, 100]


def test_next_try_however_late_the_pause_is_a_date(claim, conf):
    conf.set_override("retry_limit", 100, "engine")
    conf.set_override("retry_backoff_max", 3600, "engine")

    assert pauses(claim(), Reason.UNEXPECTED, [98]) == [3600]


@pytest.mark.parametrize("reason", [Reason.CLOUD_UNAVAILABLE, Reason.HOST_FAILED])
def test_next_try_what_is_nobodys_fault_never_is_the_last_and_pauses_do_not_grow(
    claim, conf, reason
):
    conf.set_override("process_unfinished_notifications_interval", 100)
    conf.set_override("retry_limit", 3, "engine")

    assert pauses(claim(), reason, [0, 1, 2]) == [100, 100, 100]


@pytest.mark.parametrize("type_", PAYLOADS)
def test_next_try_limit_of_the_type_goes_first(claim, conf, type_):
    conf.set_override("retry_limit", 4, "engine")
    conf.set_override("retry_limit", 2, GROUPS[type_])
    job = claim(type=type_, payload=PAYLOADS[type_])

    found = pauses(job, Reason.UNEXPECTED, [0, 1])

    assert found[0] is not None
    assert found[1] is None


@pytest.mark.parametrize("type_", PAYLOADS)
def test_next_try_limits_of_other_types_do_not_count(claim, conf, type_):
    conf.set_override("retry_limit", 3, "engine")
    for other in GROUPS.keys() - {type_}:
        conf.set_override("retry_limit", 1, GROUPS[other])
    job = claim(type=type_, payload=PAYLOADS[type_])

    assert [p is None for p in pauses(job, Reason.UNEXPECTED, [0, 1, 2])] == [False, False, True]


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (Reason.UNEXPECTED, "Next: try 3 of 5, at 2026-01-01 00:04:00 UTC."),
        (Reason.CLOUD_UNAVAILABLE, "Next: try 2 of 5, at 2026-01-01 00:02:00 UTC."),
    ],
    ids=["counted", "not counted"],
)
def test_next_try_says_which_and_when(claim, reason, text):
    job = claim()
    n = dataclasses.replace(job.notification, failures=1)

    assert patience.next_try(job.world, n, reason).text == text


# ---- the delay


@pytest.mark.parametrize("type_", PAYLOADS)
def test_is_delayed_until_the_delay_is_over(world, segment, conf, type_):
    conf.set_override("recovery_delay", 30, GROUPS[type_])
    n = reported(world, segment, type_)

    world.clock.sleep(29)
    early = patience.is_delayed(world, n.notification_uuid)
    world.clock.sleep(1)
    late = patience.is_delayed(world, n.notification_uuid)

    assert (early, late) == (True, False)


def test_is_delayed_says_so_and_is_not_claimed_before(world, segment, conf):
    conf.set_override("recovery_delay", 30, "engine")
    n = reported(world, segment)

    patience.is_delayed(world, n.notification_uuid)

    waiting = db.notifications.get(world.database, n.notification_uuid)
    assert waiting.status == NotificationStatus.NEW
    assert waiting.message.startswith("delayed: Nothing is done before 2026-01-01 00:00:30 UTC")
    assert waiting.not_before == n.created_at + datetime.timedelta(seconds=30)
    claim = {"owner": "engine-a", "lease_s": 15}
    assert db.leases.claim(world.database, n.notification_uuid, **claim) is None
    world.clock.sleep(30)
    assert db.leases.claim(world.database, n.notification_uuid, **claim) is not None


@pytest.mark.parametrize(
    ("delays", "expected"),
    [((0, None), False), ((30, None), True), ((30, 0), False), ((0, 30), True)],
    ids=["none", "of all", "this type is excepted", "of this type"],
)
def test_is_delayed_own_delay_of_the_type_goes_first(world, segment, conf, delays, expected):
    for delay, group in zip(delays, ("engine", "host_failure"), strict=True):
        conf.set_override("recovery_delay", delay, group)
    n = reported(world, segment)

    assert patience.is_delayed(world, n.notification_uuid) is expected


def test_is_delayed_delays_of_other_types_do_not_count(world, segment, conf):
    conf.set_override("recovery_delay", 30, "instance_failure")
    conf.set_override("recovery_delay", 30, "process_failure")
    n = reported(world, segment)

    assert patience.is_delayed(world, n.notification_uuid) is False


@pytest.mark.parametrize("type_", ["COMPUTE_HOST", "PROCESS"])
def test_is_delayed_signs_of_life_are_not(world, segment, conf, type_):
    conf.set_override("recovery_delay", 30, "engine")
    n = reported(world, segment, type_, {**PAYLOADS[type_], "event": "STARTED"})

    assert patience.is_delayed(world, n.notification_uuid) is False


def test_is_delayed_ends_with_a_sign_of_life(world, segment, conf):
    """Nothing is waited for any more; the gates settle it."""
    conf.set_override("recovery_delay", 30, "engine")
    n = reported(world, segment)
    before = patience.is_delayed(world, n.notification_uuid)

    rows.report(
        world.database,
        "compute1",
        at=world.clock.now(),
        payload={**rows.STOPPED, "event": "STARTED"},
    )

    assert (before, patience.is_delayed(world, n.notification_uuid)) == (True, False)


# ---- others who have seen it


@pytest.fixture
def seen(world, segment, conf):
    """Its first witness is mon1; two are needed.  Told of by others, it is looked at again."""
    conf.set_override("witnesses_needed", 2, "host_failure")
    host = rows.host(world.database, "compute1", segment)
    n = rows.report(world.database, host.name, at=world.clock.now(), by="mon1")

    def seen(*others):
        for other in others:
            with pytest.raises(DuplicateNotification):
                rows.report(world.database, host.name, at=world.clock.now(), by=other)
        return patience.is_delayed(world, n.notification_uuid)

    seen.uuid = n.notification_uuid
    return seen


def test_is_delayed_until_enough_have_seen_it(world, seen):
    alone = seen()
    waiting = db.notifications.get(world.database, seen.uuid)
    world.clock.sleep(1)

    assert (alone, seen("mon2")) == (True, False)
    assert waiting.status == NotificationStatus.NEW
    assert waiting.not_before == waiting.created_at + datetime.timedelta(seconds=5)
    assert waiting.message == (
        "few-witnesses: Seen by 1 of 2 monitors (mon1). Nothing is done until more have, or "
        "2026-01-01 00:03:00 UTC."
    )


def test_is_delayed_who_says_it_again_is_the_same_witness(world, seen):
    world.clock.sleep(1)

    assert seen("mon1", "MON1") is True


def test_is_delayed_others_are_waited_for_as_long_as_they_would_be_witnesses(world, seen, caplog):
    caplog.set_level("INFO")
    found = []
    for _ in range(37):
        found.append(seen())
        world.clock.sleep(5)

    assert found == [True] * 36 + [False]
    assert caplog.text.count("few-witnesses") == 1


def test_is_delayed_window_of_the_api_is_that_of_the_engine(world, seen, conf):
    conf.set_override("notification_correlation_interval", 400)
    world.clock.sleep(399)
    early = seen()
    world.clock.sleep(1)

    assert (early, seen()) == (True, False)


def test_is_delayed_delay_and_witnesses_go_on_together(world, seen, conf):
    conf.set_override("recovery_delay", 30, "engine")
    first = seen("mon2")
    world.clock.sleep(30)

    assert (first, seen()) == (True, False)


def test_is_delayed_for_a_host_alone(world, segment, conf):
    conf.set_override("witnesses_needed", 2, "host_failure")
    n = reported(world, segment, "VM")

    assert patience.is_delayed(world, n.notification_uuid) is False


def test_is_delayed_what_was_begun_is_not(claim, conf):
    conf.set_override("recovery_delay", 30, "engine")
    job = claim()

    assert patience.is_delayed(job.world, job.uuid) is False
