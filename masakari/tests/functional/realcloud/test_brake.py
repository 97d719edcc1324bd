"""The operator's hand: a death that is only observed, and a recovery that is cancelled; both go on.

What the tests print, pytest -s shows.
"""

import pytest

from masakari.tests.functional.realcloud.testbed import wait

pytestmark = pytest.mark.realcloud

DEAD = "compute-1"
COUNT = 6


@pytest.fixture
def options():
    """One at a time."""
    return ("host_failure_recovery_threads = 1",)


def assert_moved_once(bed, ids):
    where = bed.where(ids)
    assert sum(where.values()) == len(ids)
    assert {(status, host == DEAD) for status, host in where} == {("ACTIVE", False)}
    assert bed.evacuations(ids) == dict.fromkeys(ids, 1)


def evacuated(bed, ids):
    """The servers, in the order in which Nova was asked."""
    recorded = list(bed.nova.migrations(migration_type="evacuation"))
    return [m.server_id for m in sorted(recorded, key=lambda m: m.id) if m.server_id in ids]


def test_what_was_observed_is_then_done(bed, deployment, ha):
    ids = bed.boot(DEAD, COUNT)
    ha.register()
    ha.observe(True)

    bed.kill(DEAD, monitor=deployment.monitor)
    uuid = ha.wait_until_recovered(DEAD, "ignored")

    plan = ha.message(uuid)
    planned = ha.moves(uuid)
    print(plan, *(f"{m.server_id}: {m.status}, {m.message}" for m in planned), sep="\n")
    assert plan.startswith(f"observe-only: would evacuate these {COUNT} VMs of host {DEAD} in this")
    assert [m.status for m in planned] == ["ignored"] * COUNT
    assert dict(bed.where(ids)) == {("ACTIVE", DEAD): COUNT}
    assert bed.evacuations(ids) == {}
    assert bed.service(DEAD).status == "enabled"
    assert not ha.hosts()[DEAD].on_maintenance

    ha.observe(False)
    print(deployment.manage("notification", "retry", uuid))
    ha.wait_until_settled(uuid)

    assert_moved_once(bed, ids)
    done = [m for m in ha.moves(uuid) if m.status == "succeeded"]
    print(
        "planned:  ", *(m.server_id for m in planned), "\ndone:     ", *(m.server_id for m in done)
    )
    print(
        "evacuated:", *evacuated(bed, ids)
    )  # whose lock takes longer than its neighbour's is later
    assert [m.server_id for m in done] == [m.server_id for m in planned]
    assert bed.service(DEAD).status == "disabled"


def test_cancelled_recovery_begins_nothing_more_until_it_is_retried(bed, deployment, ha):
    ids = bed.boot(DEAD, COUNT)
    ha.register()
    bed.fault(spawn_delay=3)

    def statuses():
        n = ha.of_host(DEAD)
        return [m.status for m in ha.moves(n.notification_uuid)] if n else []

    bed.kill(DEAD, monitor=deployment.monitor)
    wait("it is the middle", lambda: {"succeeded", "pending"} <= set(statuses()), 120)
    uuid = ha.of_host(DEAD).notification_uuid
    print(deployment.manage("notification", "cancel", uuid))
    begun = evacuated(bed, ids)
    ha.wait_until_settled(uuid, "failed")

    print(ha.message(uuid), *statuses(), sep="\n")
    assert "cancelled-by-operator" in ha.message(uuid)
    assert 0 < len(begun) < COUNT
    # one request may have been under way to Nova when it was cancelled
    moved = evacuated(bed, ids)
    assert moved[: len(begun)] == begun
    assert len(moved) <= len(begun) + 1
    where = bed.where(ids)
    assert where["ACTIVE", DEAD] == COUNT - len(moved)
    assert sum(where.values()) == COUNT
    assert not any(server.is_locked for server in bed.servers(ids))

    bed.fault()
    print(deployment.manage("notification", "retry", uuid))
    ha.wait_until_settled(uuid)

    print(ha.message(uuid), dict(bed.where(ids)), sep="\n")
    assert_moved_once(bed, ids)
