"""Reserved hosts: one takes the VMs of one dead host, and is given back when none lands there."""

import pytest

from masakari.tests.functional.realcloud.testbed import wait

pytestmark = pytest.mark.realcloud

DEAD, OTHER_DEAD = "compute-1", "compute-2"
OTHERS = ("compute-2", "compute-3", "compute-4")
SECOND, FIRST = "compute-5", "compute-6"
"""Reserved hosts, in the reverse order of their use."""
COUNT = 4


def state_of(bed, host):
    service = bed.service(host)
    return service.status, service.disabled_reason


def assert_given_back(bed, ha, host):
    """It is reserved, and its service as it was."""
    assert host in ha.reserved()
    assert state_of(bed, host) == ("disabled", "spare")


def assert_all_on(bed, ids, host):
    assert dict(bed.where(ids)) == {("ACTIVE", host): len(ids)}


def test_reserved_host_takes_all(bed, deployment, ha):
    ids = bed.boot(DEAD, COUNT)
    ha.register("reserved_host", reserved=(SECOND, FIRST))

    bed.kill(DEAD, monitor=deployment.monitor)
    uuid = ha.wait_until_recovered(DEAD)

    assert_all_on(bed, ids, FIRST)
    assert ha.outcomes(uuid) == {server: [("succeeded", FIRST)] for server in ids}
    assert ha.reserved() == {SECOND}
    assert state_of(bed, FIRST) == ("enabled", None)
    assert_given_back(bed, ha, SECOND)


@pytest.mark.parametrize(
    "options",
    [("[host_failure]", "add_reserved_host_to_aggregate = true")],
    ids=["join-aggregates"],
)
def test_reserved_host_joins_the_aggregates_and_stays_in_its_zone(bed, deployment, ha):
    bed.make_aggregate("rack-1", DEAD, *OTHERS)
    bed.make_aggregate("north", DEAD, *OTHERS, zone="north")
    bed.make_aggregate("south", FIRST, zone="south")
    ids = bed.boot(DEAD, COUNT)
    ha.register("reserved_host", reserved=(SECOND, FIRST))

    bed.kill(DEAD, monitor=deployment.monitor)
    ha.wait_until_recovered(DEAD)

    assert_all_on(bed, ids, SECOND)
    assert bed.aggregate("rack-1") == {DEAD, *OTHERS, SECOND}
    assert bed.aggregate("north") == {DEAD, *OTHERS, SECOND}
    assert bed.aggregate("south") == {FIRST}
    assert_given_back(bed, ha, FIRST)


@pytest.mark.parametrize(
    "options",
    [("[host_failure]", "add_reserved_host_to_aggregate = true")],
    ids=["join-aggregates"],
)
def test_reserved_host_that_cannot_start_vms_is_given_back_and_the_next_one_used(
    bed, deployment, ha
):
    bed.make_aggregate("rack-1", DEAD, *OTHERS)
    ids = bed.boot(DEAD, COUNT)
    ha.register("reserved_host", reserved=(SECOND, FIRST))
    bed.fault(FIRST, spawn_error=1)

    bed.kill(DEAD, monitor=deployment.monitor)
    uuid = ha.wait_until_recovered(DEAD)

    assert_all_on(bed, ids, SECOND)
    assert ha.outcomes(uuid) == {
        server: [("failed", None), ("succeeded", SECOND)] for server in ids
    }
    assert ha.reserved() == {FIRST}
    assert_given_back(bed, ha, FIRST)
    assert bed.aggregate("rack-1") == {DEAD, *OTHERS, SECOND}


def test_auto_priority_goes_to_the_reserved_host_when_no_other_host_takes_them(bed, deployment, ha):
    ids = bed.boot(DEAD, COUNT)
    ha.register("auto_priority", reserved=(SECOND, FIRST))
    bed.fault(*OTHERS, spawn_error=1)

    bed.kill(DEAD, monitor=deployment.monitor)
    uuid = ha.wait_until_recovered(DEAD)

    assert_all_on(bed, ids, FIRST)
    assert ha.outcomes(uuid) == {server: [("failed", None), ("succeeded", FIRST)] for server in ids}
    assert ha.reserved() == {SECOND}


def test_auto_priority_leaves_the_reserved_host_alone_when_it_is_not_needed(bed, deployment, ha):
    ids = bed.boot(DEAD, COUNT)
    ha.register("auto_priority", reserved=(FIRST,))

    bed.kill(DEAD, monitor=deployment.monitor)
    uuid = ha.wait_until_recovered(DEAD)

    assert {status for status, _ in bed.where(ids)} == {"ACTIVE"}
    assert not {host for _, host in bed.where(ids)} & {DEAD, FIRST}
    assert {len(moves) for moves in ha.outcomes(uuid).values()} == {1}
    assert_given_back(bed, ha, FIRST)


def test_rh_priority_goes_elsewhere_when_the_reserved_host_fails(bed, deployment, ha):
    ids = bed.boot(DEAD, COUNT)
    ha.register("rh_priority", reserved=(FIRST,))
    bed.fault(FIRST, spawn_error=1)

    bed.kill(DEAD, monitor=deployment.monitor)
    uuid = ha.wait_until_recovered(DEAD)

    assert {status for status, _ in bed.where(ids)} == {"ACTIVE"}
    assert not {host for _, host in bed.where(ids)} & {DEAD, FIRST}
    assert all(
        [status for status, _ in moves] == ["failed", "succeeded"]
        for moves in ha.outcomes(uuid).values()
    )
    assert_given_back(bed, ha, FIRST)


@pytest.mark.parametrize(
    "options",
    [("process_unfinished_notifications_interval = 5", "[engine]", "sweep_interval = 1")],
    ids=["soon-again"],
)
def test_two_hosts_at_once_share_no_reserved_host(bed, deployment, ha):
    """Two engines; who comes second says why it waits, and goes on when there is another host."""
    deployment.second_engine.start()
    victims = {host: bed.boot(host, COUNT) for host in (DEAD, OTHER_DEAD)}
    ha.register("reserved_host", reserved=(FIRST,), without=(SECOND,))

    deployment.monitor.wait_until_said("5 of 5 hosts online")
    bed.kill(*victims)
    wait("both are reported", lambda: all(ha.of_host(h) for h in victims), 60)
    uuids = {host: ha.of_host(host).notification_uuid for host in victims}
    wait(
        "one is recovered, the other waits",
        lambda: {ha.get(u).status for u in uuids.values()} == {"finished", "error"},
        180,
    )
    served = next(h for h, u in uuids.items() if ha.get(u).status == "finished")
    waiting = next(h for h in victims if h != served)

    assert_all_on(bed, victims[served], FIRST)
    assert bed.evacuations(victims[waiting]) == {}
    assert "reserved host" in ha.message(uuids[waiting])

    ha.add_reserved_host(SECOND)
    ha.wait_until_settled(uuids[waiting])

    assert_all_on(bed, victims[waiting], SECOND)
    assert_all_on(bed, victims[served], FIRST)
    assert ha.reserved() == set()


@pytest.mark.parametrize("options", [("host_failure_recovery_threads = 2",)], ids=["two-at-once"])
def test_reserved_host_that_is_slow_takes_all(bed, deployment, ha):
    ids = bed.boot(DEAD, COUNT)
    ha.register("reserved_host", reserved=(SECOND, FIRST))
    bed.fault(FIRST, spawn_delay=5)

    bed.kill(DEAD, monitor=deployment.monitor)
    uuid = ha.wait_until_recovered(DEAD)

    assert_all_on(bed, ids, FIRST)
    assert ha.outcomes(uuid) == {server: [("succeeded", FIRST)] for server in ids}
    assert bed.evacuations(ids) == dict.fromkeys(ids, 1)
    assert_given_back(bed, ha, SECOND)


@pytest.mark.parametrize(
    "options", [("process_unfinished_notifications_interval = 5",)], ids=["soon-again"]
)
def test_reserved_host_that_dies_while_it_is_used_is_followed_by_the_next(bed, deployment, ha):
    ids = bed.boot(DEAD, COUNT)
    ha.register("reserved_host", reserved=(SECOND, FIRST))
    bed.fault(FIRST, spawn_delay=15)

    bed.kill(DEAD, monitor=deployment.monitor)
    wait("the first reserved host is at work", lambda: len(bed.evacuations(ids)) == COUNT, 60)
    bed.kill(FIRST)
    ha.wait_until_recovered(DEAD)

    assert_all_on(bed, ids, SECOND)
    assert ha.reserved() == set()
