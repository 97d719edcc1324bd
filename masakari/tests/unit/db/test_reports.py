"""What monitors report: accepted, refused, or one more witness of what is known."""

import datetime

import pytest
import sqlalchemy as sa

from masakari import db, errors
from masakari.db import models
from masakari.db.models import Notification
from masakari.db.query import Page
from masakari.db.session import Database
from masakari.tests.unit.db import rows
from masakari.tests.unit.db.rows import STARTED, STOPPED, T0, claim, process, settle

ALL = Page(limit=1000)
NOBODY = "00000000-0000-4000-8000-000000000001"
LATER = T0 + datetime.timedelta(hours=1)


def test_report_is_stored_as_new(database: Database) -> None:
    h = rows.host(database)

    n = rows.report(database, at=T0, payload=STOPPED)

    assert n == db.notifications.get(database, n.notification_uuid)
    assert (n.status, n.type, n.source_host_uuid) == ("new", "COMPUTE_HOST", h.uuid)
    assert (n.failover_segment_uuid, n.generated_time) == (h.failover_segment_id, T0)
    assert n.payload == STOPPED
    assert (n.owner, n.lease_until, n.attempt, n.proof, n.message) == (None, None, 0, None, None)
    assert (n.not_before, n.request_id) == (None, None)


def test_report_keeps_the_id_of_its_request(database: Database) -> None:
    rows.host(database)

    n = db.reports.report(
        database,
        type="COMPUTE_HOST",
        hostname="compute1",
        generated_time=T0,
        payload=STOPPED,
        likeness=db.reports.Likeness(180),
        request_id="req-1",
    )

    assert db.notifications.get(database, n.notification_uuid).request_id == "req-1"


@pytest.mark.parametrize(
    "at", [datetime.datetime.min, datetime.datetime.max.replace(microsecond=0)]
)
def test_report_of_the_first_or_last_year_is_a_time_like_any(
    database: Database, at: datetime.datetime
) -> None:
    rows.host(database)

    rows.report(database, at=at, payload=STOPPED)

    (shown,) = db.notifications.page(database, ALL, generated_since=at)
    assert shown["generated_time"] == at.isoformat(timespec="microseconds")
    with pytest.raises(errors.DuplicateNotification):
        rows.report(database, at=at, payload=STOPPED)


@pytest.mark.parametrize("name", ["compute2", "Compute1", ""])
def test_report_host_unknown_raises(database: Database, name: str) -> None:
    rows.host(database, "compute1")

    with pytest.raises(errors.HostNameUnknown):
        rows.report(database, name)


def test_report_host_deleted_raises(database: Database) -> None:
    h = rows.host(database, "compute1")
    db.hosts.delete(database, h.failover_segment_id, h.uuid)

    with pytest.raises(errors.HostNameUnknown):
        rows.report(database, "compute1")


@pytest.mark.parametrize(
    ("type_", "payload"),
    [("COMPUTE_HOST", STOPPED), ("COMPUTE_HOST", STARTED), ("VM", STARTED)],
)
def test_report_host_on_operators_maintenance_raises(
    database: Database, type_: str, payload: dict[str, str]
) -> None:
    rows.host(database, on_maintenance=True)

    with pytest.raises(errors.HostOnMaintenance):
        rows.report(database, type=type_, payload=payload)


@pytest.mark.parametrize(
    ("type_", "payload", "accepted"),
    [
        ("COMPUTE_HOST", STARTED, True),
        ("PROCESS", {"event": "STARTED", "process_name": "nova-compute"}, True),
        ("COMPUTE_HOST", STOPPED, False),
        ("PROCESS", {"event": "STOPPED", "process_name": "nova-compute"}, False),
        ("VM", {"event": "STARTED"}, False),
    ],
)
def test_report_host_on_our_maintenance_only_its_return_is_accepted(
    database: Database, type_: str, payload: dict[str, str], accepted: bool
) -> None:
    h = rows.host(database)
    db.hosts.begin_maintenance(database, h.uuid, by="n1")

    if accepted:
        assert rows.report(database, type=type_, payload=payload).status == "new"
    else:
        with pytest.raises(errors.HostOnMaintenance):
            rows.report(database, type=type_, payload=payload)


@pytest.mark.parametrize("status", ["new", "running", "finished", "failed"])
@pytest.mark.parametrize(
    ("type_", "payload", "accepted"),
    [
        ("COMPUTE_HOST", STARTED, True),
        ("COMPUTE_HOST", STOPPED, True),
        ("COMPUTE_HOST", {"event": "STOPPED", "host_status": "UNKNOWN"}, True),
        ("PROCESS", process(event="STARTED"), True),
        ("PROCESS", process("libvirtd"), True),
        ("VM", {"event": "LIFECYCLE"}, False),
    ],
)
def test_report_host_on_maintenance_for_a_process_has_more_to_tell(
    database: Database, status: str, type_: str, payload: dict[str, str], accepted: bool
) -> None:
    h = rows.host(database)
    failed = rows.report(database, type="PROCESS", payload=process())
    if status != "new":
        claim(database, failed.notification_uuid)
    if status not in ("new", "running"):
        settle(database, failed.notification_uuid, status)
    db.hosts.begin_maintenance(database, h.uuid, by=failed.notification_uuid)

    if accepted:
        assert rows.report(database, type=type_, payload=payload).status == "new"
    else:
        with pytest.raises(errors.HostOnMaintenance):
            rows.report(database, type=type_, payload=payload)


def test_report_host_failure_that_took_over_from_a_process_hears_its_return_only(
    database: Database,
) -> None:
    h = rows.host(database)
    failed = rows.report(database, type="PROCESS", payload=process())
    db.hosts.begin_maintenance(database, h.uuid, by=failed.notification_uuid)
    db.hosts.begin_maintenance(database, h.uuid, by=rows.report(database).notification_uuid)

    with pytest.raises(errors.HostOnMaintenance):
        rows.report(database, at=LATER)
    assert rows.report(database, payload=STARTED).status == "new"


@pytest.mark.parametrize("status", ["new", "running", "error", "finished", "ignored", "failed"])
def test_report_equal_one_in_the_window_is_a_duplicate(database: Database, status: str) -> None:
    rows.host(database)
    first = rows.in_status(database, status)

    with pytest.raises(errors.DuplicateNotification, match=first.notification_uuid):
        rows.report(database, at=T0 + datetime.timedelta(seconds=180))


def test_report_equal_one_behind_the_window_is_accepted(database: Database) -> None:
    rows.host(database)
    rows.report(database)

    assert rows.report(database, at=T0 + datetime.timedelta(seconds=181)).status == "new"


def test_report_older_event_after_an_equal_newer_one_is_a_duplicate(database: Database) -> None:
    rows.host(database)
    rows.report(database, at=T0)

    with pytest.raises(errors.DuplicateNotification):
        rows.report(database, at=T0 - datetime.timedelta(days=1))


@pytest.mark.parametrize(
    ("type_", "payload"),
    [
        ("PROCESS", STOPPED),
        ("COMPUTE_HOST", STARTED),
        ("COMPUTE_HOST", {**STOPPED, "host_status": "Normal"}),
        ("COMPUTE_HOST", {}),
    ],
    ids=["type", "payload", "case", "empty"],
)
def test_report_different_one_in_the_window_is_accepted(
    database: Database, type_: str, payload: dict[str, str]
) -> None:
    rows.host(database)
    rows.report(database)

    assert rows.report(database, type=type_, payload=payload).payload == payload


def test_report_same_failure_of_another_host_is_accepted(database: Database) -> None:
    s = rows.segment(database)
    rows.host(database, "compute1", of=s)
    rows.host(database, "compute2", of=s)
    rows.report(database, "compute1")

    assert rows.report(database, "compute2").status == "new"


def test_report_equal_to_a_row_of_openstack_is_a_duplicate(database: Database) -> None:
    rows.host(database)
    n = rows.report(database)
    with database.writing() as tx:
        tx.connection.execute(
            sa.update(models.notifications).values(
                payload='{"host_status": "NORMAL", "event": "STOPPED", "cluster_status": "OFFLINE"}'
            )
        )

    with pytest.raises(errors.DuplicateNotification, match=n.notification_uuid):
        rows.report(
            database,
            payload={"host_status": "NORMAL", "event": "STOPPED", "cluster_status": "OFFLINE"},
        )


VM = {"instance_uuid": NOBODY, "event": "LIFECYCLE", "vir_domain_event": "STOPPED_FAILED"}
AGAIN = pytest.mark.parametrize(
    ("type_", "payload"), [("VM", VM), ("PROCESS", process())], ids=["VM", "process"]
)


def settled(
    database: Database, type_: str, payload: dict[str, str], status: str, at: datetime.datetime
) -> Notification:
    """What was reported of T0, and settled *at* that time of ours."""
    n = rows.report(database, type=type_, payload=payload)
    claim(database, n.notification_uuid)
    assert settle(database, n.notification_uuid, status)
    with database.writing() as tx:
        tx.connection.execute(sa.update(models.notifications).values(updated_at=at))
    return n


def seconds(number: float) -> datetime.timedelta:
    return datetime.timedelta(seconds=number)


@AGAIN
@pytest.mark.parametrize("status", ["finished", "ignored", "failed"])
def test_report_vm_or_process_that_fails_again_is_another_failure(
    database: Database, type_: str, payload: dict[str, str], status: str
) -> None:
    rows.host(database)
    n = settled(database, type_, payload, status, T0 + seconds(20))

    # what was done about a VM tells later whether the event is an old one
    for after_s in (0,) if type_ == "VM" else (0, 1, 19, 20):
        with pytest.raises(errors.DuplicateNotification, match=n.notification_uuid):
            rows.report(database, type=type_, payload=payload, at=T0 + seconds(after_s))
    again = rows.report(database, type=type_, payload=payload, at=T0 + seconds(20.5))
    with pytest.raises(errors.DuplicateNotification, match=again.notification_uuid):
        rows.report(database, type=type_, payload=payload, at=T0 + seconds(21))


@AGAIN
@pytest.mark.parametrize("status", ["new", "running", "error"])
def test_report_vm_or_process_that_is_being_answered_is_a_duplicate(
    database: Database, type_: str, payload: dict[str, str], status: str
) -> None:
    rows.host(database)
    n = rows.report(database, type=type_, payload=payload)
    with database.writing() as tx:
        tx.connection.execute(sa.update(models.notifications).values(status=status, updated_at=T0))

    with pytest.raises(errors.DuplicateNotification, match=n.notification_uuid):
        rows.report(database, type=type_, payload=payload, at=T0 + seconds(180))
    assert rows.report(database, type=type_, payload=payload, at=T0 + seconds(181))


def test_report_vm_event_that_asks_for_nothing_is_a_duplicate(database: Database) -> None:
    rows.host(database)
    n = settled(database, "VM", VM, "ignored", T0)
    with database.writing() as tx:
        tx.connection.execute(sa.update(models.notifications).values(message="unknown-event: X"))

    with pytest.raises(errors.DuplicateNotification, match=n.notification_uuid):
        rows.report(database, type="VM", payload=VM, at=T0 + seconds(180))
    assert rows.report(database, type="VM", payload=VM, at=T0 + seconds(181))


@AGAIN
@pytest.mark.parametrize("sent_s", [0, 0.999, -1], ids=["again", "in that second", "late"])
def test_report_of_a_monitor_whose_clock_is_ahead_is_heard_once(
    database: Database, type_: str, payload: dict[str, str], sent_s: float
) -> None:
    """By our clock it was settled before it was seen."""
    rows.host(database)
    n = settled(database, type_, payload, "finished", T0 - seconds(30))

    with pytest.raises(errors.DuplicateNotification, match=n.notification_uuid):
        rows.report(database, type=type_, payload=payload, at=T0 + seconds(sent_s))
    assert rows.report(database, type=type_, payload=payload, at=T0 + seconds(1))


@pytest.mark.parametrize("status", ["finished", "ignored", "failed"])
def test_report_host_that_was_settled_before_is_a_duplicate(
    database: Database, status: str
) -> None:
    rows.host(database)
    n = settled(database, "COMPUTE_HOST", STOPPED, status, T0 + seconds(20))

    with pytest.raises(errors.DuplicateNotification, match=n.notification_uuid):
        rows.report(database, at=T0 + seconds(180))
    assert rows.report(database, at=T0 + seconds(181))


def test_report_sixteen_at_once_exactly_one_is_accepted(database: Database) -> None:
    rows.host(database)

    outcomes = rows.at_once(lambda _: rows.report(database))

    assert sum(isinstance(o, Notification) for o in outcomes) == 1
    assert sum(isinstance(o, errors.DuplicateNotification) for o in outcomes) == 15
    assert len(db.notifications.page(database, ALL)) == 1


def test_report_sixteen_different_ones_at_once_all_are_accepted(database: Database) -> None:
    rows.host(database)

    outcomes = rows.at_once(lambda number: rows.report(database, payload={"event": f"{number}"}))

    assert [o for o in outcomes if isinstance(o, Exception)] == []
    assert len(db.notifications.page(database, ALL)) == 16


# ---- several monitors


def alike(one: dict[str, str], other: dict[str, str]) -> bool:
    return one["event"] == other["event"]


def said(**more: str) -> dict[str, str]:
    return {"event": "STOPPED", **more}


def seen_by(database: Database, n: Notification) -> list[str]:
    _, witnesses = db.notifications.with_witnesses(database, n.notification_uuid)
    return [witness.reported_by for witness in witnesses]


def test_five_monitors_that_see_one_death_are_five_witnesses_of_one(database: Database) -> None:
    rows.host(database)

    outcomes = rows.at_once(
        lambda number: rows.report(
            database,
            at=T0 + seconds(number),
            payload=said(cluster_status=f"as {number} saw it"),
            alike_s=60,
            are_alike=alike,
            by=f"monitor {number}",
        ),
        times=5,
    )

    (n,) = [o for o in outcomes if isinstance(o, Notification)]
    assert sum(isinstance(o, errors.DuplicateNotification) for o in outcomes) == 4
    found, witnesses = db.notifications.with_witnesses(database, n.notification_uuid)
    assert found == n
    assert sorted(w.reported_by for w in witnesses) == [f"monitor {i}" for i in range(5)]
    for w in witnesses:
        number = int(w.reported_by.split()[1])
        assert w.payload == said(cluster_status=f"as {number} saw it")
        assert w.generated_time == T0 + seconds(number)
    assert witnesses[0].reported_by == n.reported_by


def test_who_says_it_again_is_one_witness(database: Database) -> None:
    rows.host(database)
    n = rows.report(database, by="a")

    for by in ("a", "b", "b", "a", None):
        with pytest.raises(errors.DuplicateNotification):
            rows.report(database, at=T0 + seconds(9), by=by)

    assert seen_by(database, n) == ["a", "b"]


def test_names_of_witnesses_are_bounded(database: Database) -> None:
    rows.host(database)
    n = rows.report(database, by="a")

    for number in range(db.witnesses.MOST + 3):
        with pytest.raises(errors.DuplicateNotification):
            rows.report(database, by=f"invented {number}")

    assert len(seen_by(database, n)) == 1 + db.witnesses.MOST


def test_nobody_knows_who_reported_to_an_earlier_release(database: Database) -> None:
    rows.host(database)

    assert seen_by(database, rows.report(database)) == []


@pytest.mark.parametrize(
    ("after_s", "payload", "accepted"),
    [
        (60, said(more="x"), False),
        (-60, said(more="x"), False),
        (-61, said(more="x"), True),
        (61, said(more="x"), True),
        (61, said(), False),  # equal ones have a window of their own
        (0, {"event": "STARTED"}, True),
    ],
)
def test_report_that_is_alike_is_known_for_a_while(
    database: Database, after_s: float, payload: dict[str, str], accepted: bool
) -> None:
    rows.host(database)
    rows.report(database, payload=said())

    def again() -> Notification:
        return rows.report(
            database, at=T0 + seconds(after_s), payload=payload, alike_s=60, are_alike=alike
        )

    if accepted:
        assert again().payload == payload
    else:
        with pytest.raises(errors.DuplicateNotification):
            again()


def test_report_of_a_host_on_our_maintenance_is_a_witness_of_why(database: Database) -> None:
    h = rows.host(database)
    n = rows.report(database, payload=said(), by="a")
    claim(database, n.notification_uuid)
    db.hosts.begin_maintenance(database, h.uuid, by=n.notification_uuid)

    with pytest.raises(errors.DuplicateNotification, match=n.notification_uuid):
        rows.report(database, payload=said(more="x"), alike_s=60, are_alike=alike, by="b")
    with pytest.raises(errors.HostOnMaintenance):
        rows.report(database, payload=said(more="x"), at=LATER, by="c")

    assert seen_by(database, n) == ["a", "b"]


def test_start_that_looks_older_than_the_stop_is_told_all_the_same(database: Database) -> None:
    """The clock of who told of the stop was ahead."""
    rows.host(database)
    rows.report(database, payload=STARTED)
    rows.report(database, payload=STOPPED, at=T0 + seconds(40))

    assert rows.report(database, payload=STARTED, at=T0 + seconds(35)).status == "new"


def test_report_from_the_future_hides_no_death_in_other_words(database: Database) -> None:
    rows.host(database)
    rows.report(database, payload=said(), at=LATER, alike_s=60, are_alike=alike)

    seen = rows.report(database, payload=said(more="x"), alike_s=60, are_alike=alike)

    assert seen.status == "new"


@pytest.mark.parametrize(
    ("status", "message", "is_known"),
    [
        ("new", None, True),
        ("running", None, True),
        ("error", "m", True),
        ("finished", "recovered: 2", True),
        ("failed", "expired: m", False),
        ("ignored", "segment-disabled: m", False),
        ("ignored", "host-returned: m", False),
        ("failed", "cancelled-by-operator: m", True),
        ("ignored", "cancelled-by-operator: m", True),
    ],
)
def test_what_came_to_nothing_is_another_failure_in_other_words(
    database: Database, status: str, message: str | None, is_known: bool
) -> None:
    rows.host(database)
    n = rows.report(database, payload=said())
    with database.writing() as tx:
        tx.connection.execute(
            sa.update(models.notifications).values(status=status, message=message)
        )

    def again() -> Notification:
        return rows.report(database, payload=said(more="x"), alike_s=60, are_alike=alike)

    if is_known:
        with pytest.raises(errors.DuplicateNotification, match=n.notification_uuid):
            again()
    else:
        assert again().status == "new"


def test_equal_words_are_as_long_one_failure_as_others(database: Database) -> None:
    rows.host(database)
    rows.report(database)

    with pytest.raises(errors.DuplicateNotification):
        rows.report(database, at=T0 + seconds(70), window_s=60, alike_s=180, are_alike=alike)


def test_names_that_differ_in_case_are_one_witness(database: Database) -> None:
    rows.host(database)
    n = rows.report(database, by="a")

    for by in ("m on Compute1", "m on compute1"):
        with pytest.raises(errors.DuplicateNotification):
            rows.report(database, by=by)

    assert seen_by(database, n) == ["a", "m on Compute1"]


@pytest.mark.parametrize("by", ["a", "b"])
def test_newest_that_each_has_seen_is_kept(database: Database, by: str) -> None:
    rows.host(database)
    n = rows.report(database, by="a")
    for at_s in (5, 9, 7):
        with pytest.raises(errors.DuplicateNotification):
            rows.report(database, at=T0 + seconds(at_s), by=by)

    (since,) = db.notifications.said_since(database, n)

    assert (since.reported_by, since.generated_time) == (by, T0 + seconds(9))


def test_report_vm_that_was_started_because_of_another_one_is_new(database: Database) -> None:
    rows.host(database)
    rows.report(database, type="VM", payload=VM)
    other = rows.report(database, type="VM", payload=VM | {"event": "x"})
    claim(database, other.notification_uuid)
    db.vm_recoveries.begin(
        database,
        instance_uuid=NOBODY,
        notification_uuid=other.notification_uuid,
        attempt=1,
        action="restart",
        host="compute1",
    )
    db.vm_recoveries.power_on(database, notification_uuid=other.notification_uuid, attempt=1)
    for power_on_s, accepted in ((-20, False), (20, True)):
        with database.writing() as tx:
            values = {"power_on_at": T0 + seconds(power_on_s)}
            tx.connection.execute(sa.update(models.vm_recoveries).values(**values))
        if accepted:
            assert rows.report(database, type="VM", payload=VM, at=T0 + seconds(30))
        else:
            with pytest.raises(errors.DuplicateNotification):
                rows.report(database, type="VM", payload=VM, at=T0 + seconds(30))


def test_report_vm_in_other_words_is_known_until_we_start_the_vm(database: Database) -> None:
    rows.host(database)
    n = rows.report(database, type="VM", payload=VM, by="a")

    def other(at_s: float, vm: str = NOBODY) -> Notification:
        hung = {**VM, "instance_uuid": vm, "event": "QEMU_GUEST_AGENT_ERROR"}
        return rows.report(
            database,
            type="VM",
            payload=hung,
            at=T0 + seconds(at_s),
            alike_s=60,
            are_alike=lambda one, it: one["instance_uuid"] == it["instance_uuid"],
            by="b",
        )

    with pytest.raises(errors.DuplicateNotification):
        other(5)
    assert other(5, vm="00000000-0000-4000-8000-000000000002").status == "new"
    assert seen_by(database, n) == ["a", "b"]

    claimed = claim(database, n.notification_uuid)
    assert claimed is not None
    db.vm_recoveries.begin(
        database,
        instance_uuid=NOBODY,
        notification_uuid=n.notification_uuid,
        attempt=claimed.attempt,
        action="restart",
        host="compute1",
    )
    db.vm_recoveries.power_on(
        database, notification_uuid=n.notification_uuid, attempt=claimed.attempt
    )
    with database.writing() as tx:
        tx.connection.execute(sa.update(models.vm_recoveries).values(power_on_at=T0 + seconds(20)))
    assert other(21).status == "new"


def test_report_host_that_stops_and_starts_and_stops_is_told_of_each(database: Database) -> None:
    """A start that is a duplicate of one before the stop would not save the VMs."""
    rows.host(database)

    for at_s, payload in enumerate([STARTED, STOPPED, STARTED, STOPPED, STARTED]):
        for again in (0, 0.5):
            if again:
                with pytest.raises(errors.DuplicateNotification):
                    rows.report(database, payload=payload, at=T0 + seconds(at_s + again))
            else:
                assert rows.report(database, payload=payload, at=T0 + seconds(at_s))
