"""A process of a compute host fails, and runs again."""

import pytest

pytestmark = pytest.mark.realcloud

HOST = "compute-1"
REASON = "Masakari detected process failed."


def state_of(bed, ha):
    """Of the host: its service, why it is disabled, whether it is on maintenance."""
    service = bed.service(HOST)
    return service.status, service.disabled_reason, ha.hosts()[HOST].on_maintenance


def test_nova_compute_stops_and_starts(bed, deployment, ha):
    [server] = bed.boot(HOST, 1)
    ha.register()

    stopped = ha.report_process(HOST, "nova-compute", "STOPPED")
    ha.wait_until_settled(stopped)

    assert state_of(bed, ha) == ("disabled", REASON, True)
    assert [(name, state, progress) for name, state, progress, _ in ha.steps(stopped)] == [
        ("DisableComputeNodeTask", "SUCCESS", 1.0),
        ("ConfirmComputeNodeDisabledTask", "SUCCESS", 1.0),
    ]

    ha.wait_until_settled(ha.report_process(HOST, "nova-compute", "STARTED"))

    assert state_of(bed, ha) == ("enabled", None, False)
    assert bed.actions(server) == ["create"]


def test_start_leaves_disabled_what_the_operator_disabled(bed, deployment, ha):
    ha.register()
    bed.disable(HOST, "new disks")

    ha.wait_until_settled(ha.report_process(HOST, "nova-compute", "STOPPED"))
    ha.wait_until_settled(ha.report_process(HOST, "nova-compute", "STARTED"))

    assert state_of(bed, ha) == ("disabled", "new disks", False)


def test_other_process_is_recorded_only(bed, deployment, ha):
    ha.register()

    ha.wait_until_settled(ha.report_process(HOST, "sshd", "STOPPED"))

    assert state_of(bed, ha) == ("enabled", None, False)


def test_host_that_dies_after_its_nova_compute_is_recovered(bed, deployment, ha):
    ids = bed.boot(HOST, 3)
    ha.register()
    deployment.monitor.wait_until_said(f"{len(bed.hosts)} of {len(bed.hosts)} hosts online")
    ha.wait_until_settled(ha.report_process(HOST, "nova-compute", "STOPPED"))

    bed.kill(HOST)
    ha.wait_until_recovered(HOST)

    assert {(status, host == HOST) for status, host in bed.where(ids)} == {("ACTIVE", False)}
    assert ha.hosts()[HOST].on_maintenance
