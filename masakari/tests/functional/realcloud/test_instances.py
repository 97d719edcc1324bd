"""The guest of one VM dies: it runs again on its host, or on another one."""

import pytest

pytestmark = pytest.mark.realcloud

HOST = "compute-1"
ELSEWHERE = ("[instance_failure]", "max_restarts = 1", "max_relocations = 1")


def test_crashed_vm_is_restarted_where_it_is(bed, deployment, ha):
    victim, neighbour = bed.boot(HOST, 2)
    ha.register()
    bed.crash(victim)

    uuid = ha.report_vm(victim)
    ha.wait_until_settled(uuid)

    server = bed.server(victim)
    assert (server.status, server.compute_host, server.is_locked) == ("ACTIVE", HOST, False)
    assert bed.actions(victim) == ["create", "stop", "start"]  # the stop was Nova's own
    assert bed.migrations(victim) == []
    assert bed.actions(neighbour) == ["create"]
    assert [(name, state, progress) for name, state, progress, _ in ha.steps(uuid)] == [
        ("StopInstanceTask", "SUCCESS", 1.0),
        ("StartInstanceTask", "SUCCESS", 1.0),
        ("ConfirmInstanceActiveTask", "SUCCESS", 1.0),
    ]


def test_crash_that_nova_has_not_seen_is_repaired_too(bed, deployment, ha):
    [victim] = bed.boot(HOST, 1)
    ha.register()
    bed.run("crash", victim, "--untold")
    assert bed.server(victim).status == "ACTIVE"  # so Nova thinks

    ha.wait_until_settled(ha.report_vm(victim))

    assert bed.server(victim).status == "ACTIVE"
    assert bed.actions(victim) == ["create", "stop", "start"]


def test_vm_that_its_owner_stopped_stays_stopped(bed, deployment, ha):
    [server] = bed.boot(HOST, 1)
    ha.register()
    bed.nova.stop_server(server)
    bed.wait_for_server(server, "SHUTOFF")

    uuid = ha.report_vm(server)
    ha.wait_until_settled(uuid, "ignored")

    assert ha.message(uuid).startswith("stopped-by-owner: ")
    assert bed.server(server).status == "SHUTOFF"
    assert bed.actions(server) == ["create", "stop"]


@pytest.mark.parametrize("options", [ELSEWHERE], ids=["relocate"])
def test_vm_that_does_not_start_is_relocated(bed, deployment, ha):
    [victim] = bed.boot(HOST, 1)
    ha.register()
    bed.fault(HOST, power_on_error=1)
    bed.crash(victim)

    uuid = ha.report_vm(victim)
    ha.wait_until_settled(uuid)

    server = bed.server(victim)
    assert (server.status, server.task_state) == ("ACTIVE", None)
    assert server.compute_host != HOST
    assert bed.migrations(victim) == [("migration", "confirmed", HOST, server.compute_host)]
    assert bed.service(HOST).status == "enabled"  # nothing was evacuated from a host that lives


@pytest.mark.parametrize("options", [ELSEWHERE], ids=["relocate"])
def test_relocation_that_fails_half_way_ends_with_a_running_vm(bed, deployment, ha):
    [victim] = bed.boot(HOST, 1)
    ha.register()
    bed.fault(migrate_error=1)
    bed.fault(HOST, power_on_error=1)
    bed.crash(victim)

    ha.wait_until_settled(ha.report_vm(victim))

    server = bed.server(victim)
    assert (server.status, server.compute_host != HOST) == ("ACTIVE", True)
    assert [status for _, status, *_ in bed.migrations(victim)] == ["error"]


@pytest.mark.parametrize(
    "options",
    [("duplicate_notification_detection_interval = 0", *ELSEWHERE)],
    ids=["relocate"],
)
def test_crash_loop_is_restarted_then_relocated_then_left_in_error(bed, deployment, ha):
    [victim] = bed.boot(HOST, 1)
    ha.register()
    seen = []

    for status in ("finished", "finished", "failed"):
        bed.crash(victim)
        uuid = ha.report_vm(victim)
        ha.wait_until_settled(uuid, status)
        seen.append(bed.server(victim))

    assert [(s.status, s.compute_host == HOST) for s in seen] == [
        ("ACTIVE", True),
        ("ACTIVE", False),
        ("ERROR", False),
    ]
    assert "restarts: 1, relocations: 1" in ha.message(uuid)
