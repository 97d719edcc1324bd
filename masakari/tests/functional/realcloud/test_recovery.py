"""A compute host dies under ten servers, and they are ACTIVE elsewhere, each moved once."""

import collections
import json
import pathlib

import pytest

from masakari.tests.functional.realcloud import programs
from masakari.tests.functional.realcloud.testbed import wait

pytestmark = pytest.mark.realcloud

COUNT = 10
DEAD = "compute-1"
RECOVERY_S = 180


@pytest.fixture
def ha(bed, deployment):
    """The API as openstacksdk shows it."""
    return bed.connect().instance_ha


def register(ha, bed):
    """All hosts of the cloud are in one segment."""
    segment = ha.create_segment(name="rack", recovery_method="auto", service_type="COMPUTE")
    for host in bed.hosts:
        ha.create_host(segment.uuid, name=host, type="COMPUTE", control_attributes="ssh")


def notification(ha):
    """The only notification of the dead host, or None."""
    found = list(ha.notifications(type="COMPUTE_HOST"))
    assert len(found) <= 1
    return found[0] if found else None


def has_ended(ha):
    seen = notification(ha)
    assert seen is None or seen.status not in ("error", "failed", "ignored"), seen.message
    return seen is not None and seen.status == "finished"


def moves(ha):
    seen = notification(ha)
    return list(ha.vmoves(seen.notification_uuid)) if seen else []


def count(ha, status):
    return sum(move.status == status for move in moves(ha))


def assert_recovered(bed, ids):
    """Every server is ACTIVE elsewhere, unlocked, and Nova moved it once."""
    where = bed.where(ids)
    assert sum(where.values()) == COUNT
    assert {(status, host == DEAD) for status, host in where} == {("ACTIVE", False)}
    assert not any(server.is_locked for server in bed.servers(ids))
    assert bed.evacuations(ids) == dict.fromkeys(ids, 1)


def die(bed, monitor):
    """The host dies after the monitor has seen all alive."""
    monitor.wait_until_said(f"{len(bed.hosts)} of {len(bed.hosts)} hosts online")
    bed.run("kill-host", DEAD)


def test_dead_host_is_recovered(bed, deployment, ha):
    ids = bed.boot(DEAD, COUNT)
    register(ha, bed)

    die(bed, deployment.monitor)
    wait("the notification is finished", lambda: has_ended(ha), RECOVERY_S)

    assert_recovered(bed, ids)
    assert {(m.server_id, m.status, m.source_host) for m in moves(ha)} == {
        (uuid, "succeeded", DEAD) for uuid in ids
    }
    service = bed.service(DEAD)
    assert (service.status, service.disabled_reason) == (
        "disabled",
        "Masakari detected host failed.",
    )


def test_command_line_shows_the_recovery(bed, deployment, ha):
    ids = bed.boot(DEAD, COUNT)
    bed.command_line("segment", "create", "rack", "auto", "COMPUTE")
    for host in bed.hosts:
        bed.command_line("segment", "host", "create", host, "COMPUTE", "ssh", "rack")

    die(bed, deployment.monitor)
    wait("the notification is finished", lambda: has_ended(ha), RECOVERY_S)
    listed = bed.command_line("notification", "list", "-f", "json")
    uuid = json.loads(listed)[0]["notification_uuid"]
    shown = json.loads(bed.command_line("notification", "show", uuid, "-f", "json"))
    moved = json.loads(
        bed.command_line("notification", "vmove", "list", uuid, "--limit", "1000", "-f", "json")
    )

    assert len(json.loads(listed)) == 1
    assert (shown["status"], shown["type"]) == ("finished", "COMPUTE_HOST")
    details = shown["recovery_workflow_details"]
    details = json.loads(details) if isinstance(details, str) else details
    assert [(step["name"], step["state"], step["progress"]) for step in details] == [
        ("DisableComputeServiceTask", "SUCCESS", 1.0),
        ("PrepareHAEnabledInstancesTask", "SUCCESS", 1.0),
        ("EvacuateInstancesTask", "SUCCESS", 1.0),
    ]
    assert {(move["server_id"], move["status"]) for move in moved} == {
        (server, "succeeded") for server in ids
    }


@pytest.mark.parametrize("options", [("host_failure_recovery_threads = 4",)], ids=["four-at-once"])
@pytest.mark.parametrize("arrived", [0, 2], ids=["requests-under-way", "two-have-arrived"])
def test_engine_killed_in_the_middle_moves_no_server_twice(bed, deployment, ha, arrived):
    ids = bed.boot(DEAD, COUNT)
    register(ha, bed)
    bed.make_spawning_slow(2)

    die(bed, deployment.monitor)
    wait(
        "it is the middle",
        lambda: count(ha, "ongoing") and count(ha, "succeeded") >= arrived,
        RECOVERY_S,
    )
    deployment.engine.kill()
    waiting = count(ha, "pending")
    deployment.engine.start()
    wait("the notification is finished", lambda: has_ended(ha), RECOVERY_S)

    assert waiting > 0  # so it was
    assert_recovered(bed, ids)
    assert collections.Counter(m.server_id for m in moves(ha)) == dict.fromkeys(ids, 1)


def test_repaired_host_is_in_service_again(bed, deployment, ha):
    bed.boot(DEAD, 1)
    register(ha, bed)
    die(bed, deployment.monitor)
    wait("the notification is finished", lambda: has_ended(ha), RECOVERY_S)
    segment = next(ha.segments())

    bed.run("start-host", DEAD)
    wait("the host is up", lambda: bed.service(DEAD).state == "up", 60)
    deployment.manage("host", "repaired", DEAD)

    assert bed.service(DEAD).status == "enabled"
    assert [h.on_maintenance for h in ha.hosts(segment.uuid) if h.name == DEAD] == [False]


def test_standalone_recovers_with_a_short_configuration(bed, tmp_path):
    config = tmp_path / "standalone.conf"
    lines = [
        "[DEFAULT]",
        f"state_path = {tmp_path}",
        "[keystone_authtoken]",
        *programs.keystone(bed.env),
        *programs.host_monitor(bed.hosts),
    ]
    config.write_text("\n".join(lines) + "\n")
    program = programs.Program("masakari-standalone", config, pathlib.Path(tmp_path, "log"))
    ids = bed.boot(DEAD, COUNT)
    try:
        program.start()
        wait("the API listens", lambda: programs.is_listening(programs.PORT), 60)
        ha = bed.connect().instance_ha
        register(ha, bed)

        die(bed, program)
        wait("the notification is finished", lambda: has_ended(ha), RECOVERY_S)

        assert_recovered(bed, ids)
    finally:
        program.stop()
    assert len(lines) <= 15
