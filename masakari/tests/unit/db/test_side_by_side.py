"""Which notifications of one host may run at the same time, and what `due` hands out of them.

VMs of a host that has failed wait until it is recovered.
"""

import datetime

import pytest
import sqlalchemy as sa

from masakari import db
from masakari.db.models import Notification
from masakari.db.session import Database
from masakari.tests.unit.db import rows
from masakari.tests.unit.db.rows import STARTED, STOPPED

VM_A, VM_B, VM_C = (f"00000000-0000-4000-8000-00000000abc{n}" for n in range(3))


def of_vm(
    database: Database, vm: str, hostname: str = "compute1", event: str = "LIFECYCLE"
) -> Notification:
    payload = {"instance_uuid": vm, "event": event, "vir_domain_event": "STOPPED_FAILED"}
    return rows.report(database, hostname, type="VM", payload=payload)


def of_process(database: Database, name: str = "nova-compute") -> Notification:
    return rows.report(database, type="PROCESS", payload={"event": "STOPPED", "process_name": name})


def claim(database: Database, n: Notification, owner: str = "engine-a") -> Notification | None:
    return db.leases.claim(database, n.notification_uuid, owner=owner, lease_s=600)


def settle(database: Database, n: Notification, status: str = "finished") -> None:
    assert db.leases.settle(
        database, n.notification_uuid, owner="engine-a", status=status, message="m"
    )


@pytest.fixture
def database(database: Database) -> Database:
    """With a host, compute1."""
    rows.host(database)
    return database


# ---- claim


def test_claim_vm_beside_another_vm_of_the_host_is_ours(database: Database) -> None:
    first, second, third = (of_vm(database, vm) for vm in (VM_A, VM_B, VM_C))

    assert claim(database, first)
    assert claim(database, second, "engine-b")
    assert claim(database, third)


@pytest.mark.parametrize(
    "as_written", [VM_A, VM_A.upper(), VM_A.replace("-", ""), f"{{{VM_A}}}", f"urn:uuid:{VM_A}"]
)
def test_claim_vm_beside_the_same_vm_returns_none(database: Database, as_written: str) -> None:
    first = of_vm(database, VM_A)
    second = of_vm(database, as_written, event="IO_ERROR")
    claim(database, first)

    assert claim(database, second) is None
    assert db.leases.due(database) == []

    settle(database, first)
    assert db.leases.due(database) == [second.notification_uuid]
    assert claim(database, second)


def test_claim_vm_of_two_running_ones_waits_for_its_own(database: Database) -> None:
    first, other = of_vm(database, VM_A), of_vm(database, VM_B)
    again = of_vm(database, VM_A, event="IO_ERROR")
    claim(database, first)
    claim(database, other)
    settle(database, other)

    assert claim(database, again) is None


@pytest.mark.parametrize("vm", ["", "web1"])
def test_claim_vm_that_cannot_be_told_has_the_host_for_itself(database: Database, vm: str) -> None:
    first, second = of_vm(database, vm), of_vm(database, VM_A)

    claim(database, first)
    assert claim(database, second) is None
    settle(database, first)

    third = of_vm(database, vm, event="IO_ERROR")
    claim(database, second)
    assert claim(database, third) is None


@pytest.mark.parametrize("type_", ["COMPUTE_HOST", "PROCESS"])
def test_claim_host_or_process_waits_for_all_vms(database: Database, type_: str) -> None:
    first, second = of_vm(database, VM_A), of_vm(database, VM_B)
    claim(database, first)
    claim(database, second)
    n = rows.report(database) if type_ == "COMPUTE_HOST" else of_process(database)

    assert claim(database, n) is None
    settle(database, first)
    assert claim(database, n) is None
    settle(database, second)
    assert claim(database, n)


@pytest.mark.parametrize("what", ["failed host", "started host", "process"])
def test_claim_vm_while_host_or_process_is_running_returns_none(
    database: Database, what: str
) -> None:
    if what == "process":
        n = of_process(database)
    else:
        n = rows.report(database, payload=STOPPED if what == "failed host" else STARTED)
    vm = of_vm(database, VM_A)
    claim(database, n)

    assert claim(database, vm) is None
    assert db.leases.due(database) == []
    settle(database, n)
    assert db.leases.due(database) == [vm.notification_uuid]
    assert claim(database, vm)


def test_claim_process_beside_another_process_returns_none(database: Database) -> None:
    claim(database, of_process(database, "nova-compute"))

    assert claim(database, of_process(database, "libvirtd")) is None


def test_claim_resume_of_a_vm_beside_another_is_ours(database: Database) -> None:
    first, second = of_vm(database, VM_A), of_vm(database, VM_B)
    claim(database, first)
    claim(database, second)
    db.leases.renew(database, first.notification_uuid, owner="engine-a", lease_s=0)

    assert db.leases.due(database) == [first.notification_uuid]
    resumed = claim(database, first, "engine-b")
    assert resumed is not None
    assert (resumed.owner, resumed.attempt) == ("engine-b", 1)


def test_claim_sixteen_vms_of_one_host_at_once_all_are_ours(database: Database) -> None:
    found = [of_vm(database, f"00000000-0000-4000-8000-{n:012d}") for n in range(16)]

    outcomes = rows.at_once(lambda number: claim(database, found[number], f"e{number}"))

    assert [o for o in outcomes if not isinstance(o, Notification)] == []


def test_claim_sixteen_of_one_vm_at_once_one_wins(database: Database) -> None:
    found = [of_vm(database, VM_A, event=f"{n}") for n in range(16)]

    outcomes = rows.at_once(lambda number: claim(database, found[number], f"e{number}"))

    assert [o for o in outcomes if isinstance(o, Exception)] == []
    assert sum(o is not None for o in outcomes) == 1


@pytest.mark.parametrize("payload", [STOPPED, STARTED], ids=["failed", "started"])
def test_claim_host_and_its_vms_at_once_never_side_by_side(
    database: Database, payload: dict[str, str]
) -> None:
    vms = [of_vm(database, f"00000000-0000-4000-8000-{n:012d}") for n in range(1, 16)]

    def one(number: int) -> Notification | None:
        n = vms[number - 1] if number else rows.report(database, payload=payload)
        return claim(database, n, f"e{number}")

    outcomes = rows.at_once(one)

    assert [o for o in outcomes if isinstance(o, Exception)] == []
    won = {o.type for o in outcomes if isinstance(o, Notification)}
    assert len(won) == 1


# ---- while their host has failed


def failed(database: Database, state: str) -> Notification:
    """A notification that compute1 has failed, as far as *state*."""
    n = rows.report(database)
    if state == "postponed":
        postpone(database, n, FUTURE)
    if state in ("new", "postponed"):
        return n
    mine = claim(database, n)
    assert mine is not None
    if state == "left":
        db.leases.renew(database, n.notification_uuid, owner="engine-a", lease_s=0)
    elif state != "running":
        db.leases.settle(
            database,
            n.notification_uuid,
            owner="engine-a",
            status="error" if state == "between tries" else state,
            message="m",
            not_before=FUTURE if state == "between tries" else None,
        )
    return n


@pytest.mark.parametrize(
    ("state", "is_claimable"),
    [
        ("new", True),
        ("postponed", False),
        ("running", False),
        ("left", True),
        ("error", True),
        ("between tries", False),
    ],
)
def test_vm_waits_while_the_failure_of_its_host_is_open(
    database: Database, state: str, is_claimable: bool
) -> None:
    n = failed(database, state)
    before, after = of_vm(database, VM_A), of_vm(database, VM_B)

    assert db.leases.due(database) == [n.notification_uuid] * is_claimable
    assert [claim(database, vm) for vm in (before, after)] == [None, None]
    assert db.notifications.get(database, before.notification_uuid) == before

    with database.writing() as tx:
        is_it = db.models.notifications.c.notification_uuid == n.notification_uuid
        tx.connection.execute(
            sa.update(db.models.notifications).where(is_it).values(status="finished")
        )
    assert db.leases.due(database) == [before.notification_uuid, after.notification_uuid]
    assert claim(database, before)
    assert claim(database, after)


@pytest.mark.parametrize("state", ["finished", "ignored", "failed"])
def test_vm_does_not_wait_when_the_failure_of_its_host_is_settled(
    database: Database, state: str
) -> None:
    failed(database, state)
    vm = of_vm(database, VM_A)

    assert db.leases.due(database) == [vm.notification_uuid]
    assert claim(database, vm)


@pytest.mark.parametrize(
    "payload",
    [
        STARTED,
        {"event": "STARTED", "host_status": "NORMAL"},
        {"event": "STOPPED"},
        {"event": "STOPPED", "host_status": "UNKNOWN"},
    ],
)
def test_vm_does_not_wait_for_what_is_no_failure_of_its_host(
    database: Database, payload: dict[str, str]
) -> None:
    host, vm = rows.report(database, payload=payload), of_vm(database, VM_A)

    assert db.leases.due(database) == [host.notification_uuid, vm.notification_uuid]
    assert claim(database, vm)


def test_vm_does_not_wait_for_another_host_or_a_deleted_notification(database: Database) -> None:
    s = db.hosts.get_by_name(database, "compute1").failover_segment
    rows.host(database, "compute2", of=s)
    gone, other = rows.report(database), rows.report(database, "compute2")
    with database.writing() as tx:
        is_it = db.models.notifications.c.notification_uuid == gone.notification_uuid
        tx.connection.execute(
            sa.update(db.models.notifications).where(is_it).values(deleted=gone.id)
        )
    vm = of_vm(database, VM_A)

    assert db.leases.due(database) == [other.notification_uuid, vm.notification_uuid]
    assert claim(database, vm)


def test_vm_that_is_running_when_its_host_fails_may_end(database: Database) -> None:
    """Its recovery sees that the host has failed; the host waits for it, then it for the host."""
    vm = of_vm(database, VM_A)
    claim(database, vm)
    host = rows.report(database)

    assert db.leases.due(database) == []
    assert db.leases.renew(database, vm.notification_uuid, owner="engine-a", lease_s=600)
    settle(database, vm, "error")
    assert db.leases.due(database) == [host.notification_uuid]
    assert claim(database, vm) is None
    assert claim(database, host)


def test_vm_that_a_dead_engine_left_waits_for_its_host_too(database: Database) -> None:
    vm = of_vm(database, VM_A)
    claim(database, vm)
    db.leases.renew(database, vm.notification_uuid, owner="engine-a", lease_s=0)
    host = rows.report(database)

    assert db.leases.due(database) == [host.notification_uuid]
    assert claim(database, vm, "engine-b") is None

    claim(database, host)
    settle(database, host)
    resumed = claim(database, vm, "engine-b")
    assert resumed is not None
    assert (resumed.owner, resumed.attempt) == ("engine-b", 1)


def test_process_of_a_failed_host_does_not_wait(database: Database) -> None:
    postpone(database, rows.report(database), FUTURE)
    process = of_process(database)

    assert db.leases.due(database) == [process.notification_uuid]
    assert claim(database, process)


# ---- due


def test_due_vms_of_a_host_whose_other_vm_is_recovered(database: Database) -> None:
    first, second, third = (of_vm(database, vm) for vm in (VM_A, VM_B, VM_C))
    claim(database, first)

    assert db.leases.due(database) == [second.notification_uuid, third.notification_uuid]


def test_due_started_host_that_waits_for_a_vm_hides_no_other_vm(database: Database) -> None:
    first = of_vm(database, VM_A)
    claim(database, first)
    host = rows.report(database, payload=STARTED)
    second = of_vm(database, VM_B)

    assert db.leases.due(database) == [second.notification_uuid]

    settle(database, first)
    assert db.leases.due(database) == [host.notification_uuid, second.notification_uuid]


def test_due_failures_of_hosts_come_first(database: Database) -> None:
    s = db.hosts.get_by_name(database, "compute1").failover_segment
    for name in ("compute2", "compute3"):
        rows.host(database, name, of=s)
    vm, process = of_vm(database, VM_A, "compute3"), of_process(database)
    host, other_host = rows.report(database, "compute2"), rows.report(database)

    ordered = [n.notification_uuid for n in (host, other_host, vm, process)]
    assert db.leases.due(database) == ordered
    for limit in range(5):
        assert db.leases.due(database, limit=limit) == ordered[:limit]


def test_due_what_cannot_be_claimed_takes_no_place(database: Database) -> None:
    s = db.hosts.get_by_name(database, "compute1").failover_segment
    for name in ("compute2", "compute3", "compute4"):
        rows.host(database, name, of=s)
    claim(database, of_vm(database, VM_A))
    for number in range(5):  # the VM is being recovered
        of_vm(database, VM_A, event=f"{number}")
    claim(database, rows.report(database, "compute2"))
    for number in range(5):  # the host is being recovered
        of_vm(database, VM_B, "compute2", event=f"{number}")
        rows.report(database, "compute2", payload={"event": f"{number}"})
    rows.report(database, payload=STARTED)  # waits for VM_A
    postpone(database, rows.report(database, "compute4"), FUTURE)
    for number in range(5):  # the host has failed
        of_vm(database, VM_B, "compute4", event=f"{number}")
    wanted = [of_vm(database, VM_C).notification_uuid]
    wanted += [of_vm(database, VM_C, "compute3", f"{n}").notification_uuid for n in range(3)]

    for limit in range(1, 6):
        assert db.leases.due(database, limit=limit) == wanted[:limit]


def test_due_many_vms_of_one_host_are_handed_out_while_they_run(database: Database) -> None:
    """None of them waits for another (E38)."""
    left = [
        of_vm(database, f"00000000-0000-4000-8000-{n:012d}").notification_uuid for n in range(300)
    ]

    while left:
        batch = db.leases.due(database)
        assert batch == left[:100]
        for uuid in batch:
            assert db.leases.claim(database, uuid, owner="engine-a", lease_s=600)
        del left[:100]
    assert db.leases.due(database) == []


# ---- waiting

PAST, FUTURE = datetime.datetime(2020, 1, 1), datetime.datetime(2999, 12, 31, 23, 59, 59, 250000)
LATER = datetime.datetime(2999, 12, 31, 23, 59, 59, 500000)


def postpone(database: Database, n: Notification, until: datetime.datetime) -> bool:
    return db.leases.postpone(
        database, n.notification_uuid, until=until, message="delayed: it waits"
    )


def test_postpone_new_one_waits_and_says_why(database: Database) -> None:
    n = rows.report(database)

    assert postpone(database, n, FUTURE)

    now = db.notifications.get(database, n.notification_uuid)
    assert (now.status, now.message, now.not_before) == ("new", "delayed: it waits", FUTURE)
    assert claim(database, n) is None
    assert db.leases.due(database) == []
    assert db.leases.next_due(database) == FUTURE


def test_postpone_until_a_time_that_has_passed_is_due(database: Database) -> None:
    n = rows.report(database)
    postpone(database, n, PAST)

    assert db.leases.next_due(database) is None
    assert db.leases.due(database) == [n.notification_uuid]
    mine = claim(database, n)
    assert mine is not None
    assert (mine.attempt, mine.not_before) == (1, None)


@pytest.mark.parametrize("until", [PAST, FUTURE])
def test_postpone_twice_is_refused(database: Database, until: datetime.datetime) -> None:
    n = rows.report(database)
    postpone(database, n, until)

    assert not postpone(database, n, LATER)
    assert db.notifications.get(database, n.notification_uuid).not_before == until


@pytest.mark.parametrize(("until", "expected"), [(PAST, LATER), (FUTURE, FUTURE)])
def test_postpone_again_what_waits_no_more(
    database: Database, until: datetime.datetime, expected: datetime.datetime
) -> None:
    n = rows.report(database)
    postpone(database, n, until)

    changed = db.leases.postpone(
        database, n.notification_uuid, until=LATER, message="it waits again", again=True
    )

    assert changed is (expected == LATER)
    assert db.notifications.get(database, n.notification_uuid).not_before == expected


@pytest.mark.parametrize("status", ["running", "error", "finished", "ignored", "failed"])
def test_postpone_one_that_is_not_new_is_refused(database: Database, status: str) -> None:
    n = rows.in_status(database, status)

    assert not postpone(database, n, FUTURE)
    assert db.notifications.get(database, n.notification_uuid) == n


def test_hasten_what_waits_of_the_same_host_and_type(database: Database) -> None:
    s = db.hosts.get_by_name(database, "compute1").failover_segment
    rows.host(database, "compute2", of=s)
    waiting = rows.report(database)
    others = (rows.report(database, "compute2"), of_vm(database, VM_A), of_process(database))
    for n in (waiting, *others):
        postpone(database, n, FUTURE)
    started = rows.report(database, payload=STARTED)
    later = rows.report(database, at=rows.T0 + datetime.timedelta(hours=1))
    postpone(database, later, FUTURE)

    assert db.leases.hasten(database, started) == 1

    due = {waiting.notification_uuid, started.notification_uuid}
    assert set(db.leases.due(database)) == due
    for n in (*others, later):
        assert db.notifications.get(database, n.notification_uuid).not_before == FUTURE
    assert db.leases.hasten(database, started) == 0


def test_hasten_process_only_that_process(database: Database) -> None:
    waiting, other = of_process(database), of_process(database, "libvirtd")
    host = rows.report(database)
    for n in (waiting, other, host):
        postpone(database, n, FUTURE)
    payload = {"event": "STARTED", "process_name": "nova-compute"}
    started = rows.report(database, type="PROCESS", payload=payload)

    assert db.leases.hasten(database, started) == 1

    assert db.leases.due(database) == [waiting.notification_uuid, started.notification_uuid]
    assert db.notifications.get(database, other.notification_uuid).not_before == FUTURE


def test_hasten_next_try_after_an_error_keeps_its_time(database: Database) -> None:
    n = rows.in_status(database, "running")
    db.leases.settle(
        database,
        n.notification_uuid,
        owner="engine-a",
        status="error",
        message="m",
        not_before=FUTURE,
    )

    assert db.leases.hasten(database, rows.report(database, payload=STARTED)) == 0
    assert db.notifications.get(database, n.notification_uuid).not_before == FUTURE


def test_settle_error_waits_for_its_next_try(database: Database) -> None:
    n = rows.in_status(database, "running")

    db.leases.settle(
        database,
        n.notification_uuid,
        owner="engine-a",
        status="error",
        message="m",
        not_before=FUTURE,
    )

    assert db.notifications.get(database, n.notification_uuid).not_before == FUTURE
    assert claim(database, n) is None
    assert db.leases.due(database) == []
    assert db.leases.next_due(database) == FUTURE


@pytest.mark.parametrize("status", ["finished", "ignored", "failed"])
def test_settle_for_good_waits_for_nothing(database: Database, status: str) -> None:
    n = rows.in_status(database, "running")

    db.leases.settle(
        database,
        n.notification_uuid,
        owner="engine-a",
        status=status,
        message="m",
        not_before=FUTURE,
    )

    assert db.notifications.get(database, n.notification_uuid).not_before is None
    assert db.leases.next_due(database) is None


def test_settle_error_without_a_pause_is_due(database: Database) -> None:
    n = rows.in_status(database, "error")

    assert db.leases.due(database) == [n.notification_uuid]


def test_next_due_is_the_earliest_of_those_that_wait(database: Database) -> None:
    assert db.leases.next_due(database) is None
    later, first = rows.report(database), rows.report(database, payload=STARTED)
    postpone(database, later, LATER)
    postpone(database, first, FUTURE)
    postpone(database, of_process(database), PAST)

    assert db.leases.next_due(database) == FUTURE


def test_expire_one_that_waits_is_failed(database: Database) -> None:
    n = rows.report(database, at=PAST)
    postpone(database, n, FUTURE)
    with database.writing() as tx:
        tx.connection.execute(db.models.notifications.update().values(created_at=PAST))

    assert db.leases.expire(database, age_s=60) == [n.notification_uuid]

    now = db.notifications.get(database, n.notification_uuid)
    assert (now.status, now.not_before) == ("failed", None)
