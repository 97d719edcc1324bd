"""Recoveries whose flows have tasks of third parties, from the claim to the final status."""

import dataclasses

import pytest

from masakari import db
from masakari.engine import flows, host, recovery
from masakari.engine.drivers.taskflow import base
from masakari.engine.leases import Leases
from masakari.errors import RecoveryError, ReservedHostUnusable
from masakari.tests.unit.db import rows

DISABLE = host.DisableComputeServiceTask
PREPARE = host.PrepareHAEnabledInstancesTask
EVACUATE = host.EvacuateInstancesTask


class WantsGpu(base.MasakariTask):
    """Only compute8 has one."""

    def execute(self, reserved_host):
        if reserved_host != "compute8":
            raise ReservedHostUnusable(host=reserved_host, problem="it has no GPU")
        self.update_details(f"{reserved_host} has a GPU.", 1.0)


class Breaks(base.MasakariTask):
    """A third party's, which knows nothing of our exceptions."""

    def execute(self, host_name):
        raise ValueError(f"the desk does not know {host_name}")


class BreaksForCompute9(Breaks):
    def execute(self, host_name, reserved_host):
        if reserved_host == "compute9":
            super().execute(host_name)


class Refuses(base.MasakariTask):
    def execute(self, host_name):
        raise RecoveryError(f"There is no quorum about {host_name}.")


class TellsOfReserved(base.MasakariTask):
    def execute(self, reserved_host, reserved_host_list):
        self.update_details(f"{reserved_host} of {reserved_host_list}", 1.0)


def parts(pre=(), main=(), post=()):
    return flows.Parts(tuple(pre), tuple(main), tuple(post))


@pytest.fixture
def die(world, cloud, segment):
    """die(recovery method): the notification about compute1, which is dead and had one VM.

    Of the reserved hosts compute9 comes first, then compute8.
    """
    for name in ("compute1", "compute2", "compute8", "compute9"):
        cloud.add_host(name)
    cloud.add_server("compute1", "web")
    rows.host(world.database, "compute1", segment)
    for name in ("compute8", "compute9"):
        rows.host(world.database, name, segment, reserved=True)
        world.clock.sleep(1)

    def call(method):
        db.segments.update(world.database, segment.uuid, {"recovery_method": method})
        cloud.power_off("compute1")
        world.clock.sleep(10)
        return rows.report(world.database, "compute1", at=world.clock.now()).notification_uuid

    return call


def recover(world, uuid, **changed):
    """The notification after one try with these flows, and what its steps said."""
    world = dataclasses.replace(world, flows=dataclasses.replace(world.flows, **changed))
    leases = Leases(world.database, world.clock, world.pulse, owner=world.owner, lease_s=10_000)
    recovery.recover(world, leases, uuid)
    said = [
        d["message"]
        for step in db.steps.recovery_workflow_details(world.progress, uuid)
        for d in step["progress_details"]
    ]
    return db.notifications.get(world.database, uuid), said


def reserved(world, name):
    return db.hosts.get_by_name(world.database, name).reserved


@pytest.mark.parametrize(
    "main",
    [(WantsGpu, PREPARE, EVACUATE), (PREPARE, WantsGpu, EVACUATE)],
    ids=["before the VMs are listed", "after"],
)
def test_reserved_host_that_a_task_finds_unusable_is_given_back_and_the_next_one_taken(
    world, cloud, die, main
):
    n, _ = recover(world, die("reserved_host"), host_reserved=parts([DISABLE], main))

    assert (n.status, n.message) == ("finished", "recovered: 1 of 1 VMs recovered.")
    assert cloud.running() == {"web": ["compute8"]}
    assert (reserved(world, "compute9"), reserved(world, "compute8")) == (True, False)
    assert db.hosts.get_by_name(world.database, "compute9").reserved_for is None


def test_task_of_reserved_hosts_is_told_of_each_in_turn(world, die):
    main = (PREPARE, TellsOfReserved, WantsGpu, EVACUATE)

    _, said = recover(world, die("reserved_host"), host_reserved=parts([DISABLE], main))

    assert [m for m in said if m.startswith("compute")] == [
        "compute9 of ['compute9', 'compute8']",
        "compute8 of ['compute9', 'compute8']",
        "compute8 has a GPU.",
    ]


def test_task_that_breaks_is_told_of_in_its_own_words(world, cloud, die):
    flow = parts([DISABLE], [Breaks, PREPARE], [EVACUATE])

    n, _ = recover(world, die("auto"), host_auto=flow)

    assert n.status == "error"
    assert (
        ": Task Breaks failed: ValueError: the desk does not know compute1. Next: try 2 of 5"
        in n.message
    )
    assert cloud.running() == {}


@pytest.mark.parametrize(
    "main",
    [(BreaksForCompute9, PREPARE, EVACUATE), (PREPARE, BreaksForCompute9, EVACUATE)],
    ids=["before the VMs are listed", "after"],
)
def test_task_that_breaks_with_one_reserved_host_leaves_the_vms_to_the_next_one(
    world, cloud, die, main
):
    n, _ = recover(world, die("reserved_host"), host_reserved=parts([DISABLE], main))

    assert (n.status, n.message) == ("finished", "recovered: 1 of 1 VMs recovered.")
    assert cloud.running() == {"web": ["compute8"]}
    assert reserved(world, "compute9")


@pytest.mark.parametrize(
    ("method", "breaking", "arrives_on"),
    [
        ("auto_priority", {"host_auto": parts([DISABLE], [PREPARE], [Breaks, EVACUATE])}, 9),
        ("rh_priority", {"host_reserved": parts([DISABLE], [Breaks, PREPARE, EVACUATE])}, 2),
    ],
    ids=["auto_priority", "rh_priority"],
)
def test_task_that_breaks_in_one_flow_leaves_the_vms_to_the_other(
    world, die, method, breaking, arrives_on
):
    n, _ = recover(world, die(method), **breaking)

    assert n.status == "finished"
    assert world.cloud.running() == {"web": [f"compute{arrives_on}"]}


def test_task_that_breaks_after_the_vms_have_arrived_ends_the_try_all_the_same(world, cloud, die):
    flow = parts([DISABLE], [PREPARE], [EVACUATE, Breaks])

    n, _ = recover(world, die("auto"), host_auto=flow)

    assert n.status == "error"
    assert "the desk does not know compute1" in n.message
    assert len(cloud.running()["web"]) == 1


@pytest.mark.parametrize("part", ["pre", "main", "post"])
def test_reserved_hosts_are_known_in_all_parts_of_their_flow(world, die, part):
    class Knows(base.MasakariTask):
        def execute(self, reserved_host_list):
            self.update_details(f"known: {reserved_host_list}", 1.0)

    flow = {"pre": [DISABLE], "main": [PREPARE, EVACUATE], "post": []}
    flow[part] = [Knows, *flow[part]]

    _, said = recover(world, die("reserved_host"), host_reserved=parts(**flow))

    assert "known: ['compute9', 'compute8']" in said


def test_task_that_asks_for_what_nobody_offers_is_named_before_any_runs(world, cloud, die):
    class Wants(base.MasakariTask):
        def execute(self, ticket_number):
            pass

    n, said = recover(world, die("auto"), host_auto=parts([DISABLE, Wants], [PREPARE], [EVACUATE]))

    assert n.status == "error"
    assert "ticket_number" in n.message
    assert "Wants" in n.message
    assert said == []


def test_flow_that_evacuates_without_proof_of_death_is_refused(world, cloud, die):
    n, _ = recover(world, die("auto"), host_auto=parts([], [PREPARE], [EVACUATE]))

    assert n.status == "error"
    assert "There is no proof on record that host compute1 is dead" in n.message
    assert cloud.running() == {}


INCOMPLETE = {
    "nobody chooses VMs": ("auto", {"host_auto": parts([DISABLE], [EVACUATE])}),
    "nobody evacuates them": ("auto", {"host_auto": parts([DISABLE], [PREPARE])}),
    "nobody evacuates them onto reserved hosts": (
        "reserved_host",
        {"host_reserved": parts([DISABLE], [PREPARE])},
    ),
    "chosen once for all reserved hosts": (
        "reserved_host",
        {"host_reserved": parts([DISABLE, PREPARE], [EVACUATE])},
    ),
    "evacuated after all reserved hosts": (
        "reserved_host",
        {"host_reserved": parts([DISABLE], [PREPARE], [EVACUATE])},
    ),
}


@pytest.mark.parametrize(("method", "flow"), INCOMPLETE.values(), ids=INCOMPLETE)
def test_flow_that_leaves_the_vms_where_they_are_is_no_success(world, die, method, flow):
    n, _ = recover(world, die(method), **flow)

    assert world.cloud.running() == {}
    assert n.status == "error"


@pytest.mark.parametrize("method", ["auto", "rh_priority"])
def test_task_that_refuses_ends_the_try_with_its_sentence(world, cloud, die, method):
    refusing = parts([DISABLE, Refuses], [PREPARE], [EVACUATE])

    n, _ = recover(world, die(method), host_auto=refusing, host_reserved=refusing)

    assert n.status == "error"
    assert ": There is no quorum about compute1. Next: try 2 of 5" in n.message
    assert cloud.running() == {}
    assert reserved(world, "compute9")


def test_task_that_refuses_after_the_vms_have_arrived_ends_the_try_all_the_same(world, cloud, die):
    flow = parts([DISABLE], [PREPARE], [EVACUATE, Refuses])

    n, _ = recover(world, die("auto"), host_auto=flow)

    assert n.status == "error"
    assert ": There is no quorum about compute1. Next: try 2 of 5" in n.message
    assert len(cloud.running()["web"]) == 1


def test_task_that_refuses_is_asked_again_in_the_next_try(world, cloud, die):
    refusing = parts([DISABLE, Refuses], [PREPARE], [EVACUATE])
    willing = parts([DISABLE], [PREPARE], [EVACUATE])
    uuid = die("auto")
    recover(world, uuid, host_auto=refusing)
    world.clock.sleep(130)

    n, _ = recover(world, uuid, host_auto=willing)

    assert n.status == "finished"
    assert len(cloud.running()["web"]) == 1
