"""A compute host dies under ten servers, and they are ACTIVE elsewhere, each moved once."""

import collections
import json
import pathlib

import pytest

from masakari.tests.functional.realcloud import programs
from masakari.tests.functional.realcloud.ha import Ha
from masakari.tests.functional.realcloud.testbed import wait

pytestmark = pytest.mark.realcloud

COUNT = 10
DEAD = "compute-1"


def assert_recovered(bed, ids):
    """Every server is ACTIVE elsewhere, unlocked, and Nova moved it once."""
    where = bed.where(ids)
    assert sum(where.values()) == COUNT
    assert {(status, host == DEAD) for status, host in where} == {("ACTIVE", False)}
    assert not any(server.is_locked for server in bed.servers(ids))
    assert bed.evacuations(ids) == dict.fromkeys(ids, 1)


def test_dead_host_is_recovered(bed, deployment, ha):
    ids = bed.boot(DEAD, COUNT)
    ha.register()

    bed.kill(DEAD, monitor=deployment.monitor)
    uuid = ha.wait_until_recovered(DEAD)

    assert_recovered(bed, ids)
    assert {(m.server_id, m.status, m.source_host) for m in ha.moves(uuid)} == {
        (server, "succeeded", DEAD) for server in ids
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

    bed.kill(DEAD, monitor=deployment.monitor)
    ha.wait_until_recovered(DEAD)
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
    ha.register()
    bed.fault(spawn_delay=2)

    def count(status):
        n = ha.of_host(DEAD)
        return n and sum(m.status == status for m in ha.moves(n.notification_uuid))

    bed.kill(DEAD, monitor=deployment.monitor)
    wait("it is the middle", lambda: count("ongoing") and count("succeeded") >= arrived, 120)
    deployment.engine.kill()
    waiting = count("pending")
    deployment.engine.start()
    uuid = ha.wait_until_recovered(DEAD)

    assert waiting > 0  # so it was
    assert_recovered(bed, ids)
    assert collections.Counter(m.server_id for m in ha.moves(uuid)) == dict.fromkeys(ids, 1)


def test_repaired_host_is_in_service_again(bed, deployment, ha):
    bed.boot(DEAD, 1)
    ha.register()
    bed.kill(DEAD, monitor=deployment.monitor)
    ha.wait_until_recovered(DEAD)

    bed.run("start-host", DEAD)
    wait("the host is up", lambda: bed.service(DEAD).state == "up", 60)
    deployment.manage("host", "repaired", DEAD)

    assert bed.service(DEAD).status == "enabled"
    assert not ha.hosts()[DEAD].on_maintenance


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
        ha = Ha(bed)
        ha.register()

        bed.kill(DEAD, monitor=program)
        ha.wait_until_recovered(DEAD)

        assert_recovered(bed, ids)
    finally:
        program.stop()
    assert len(lines) <= 15
