"""Horizon's pages of instance HA in a browser, as an administrator uses them."""

import pytest

from masakari.tests.functional.realcloud import dashboard

pytestmark = pytest.mark.realcloud

DEAD = "compute-1"
PANELS = "/masakaridashboard"
SEGMENTS = "failover_segment"
SUBMIT = ".modal-footer .btn-primary"
CONFIRM = ".modal-footer .btn-danger"
PAGE = 20
"""So many rows Horizon shows on a page."""


@pytest.fixture(scope="session")
def horizon(bed, tmp_path_factory):
    """The URL of Horizon."""
    with dashboard.served(bed.env, tmp_path_factory.mktemp("horizon") / "horizon.log") as url:
        yield url


@pytest.fixture
def browser(bed, horizon, deployment, tmp_path):
    """A window, logged in; its screenshots are in the directory of the test."""
    made = dashboard.Browser(horizon, tmp_path)
    try:
        made.log_in(bed.env)
        yield made
        made.shoot("end")
    finally:
        made.quit()


def shown(rows, *columns):
    """Of each row these cells."""
    return [tuple(row[column] for column in columns) for row in rows]


def test_segment_is_created_edited_filled_and_deleted(bed, browser):
    browser.open(f"{PANELS}/segments/")
    assert browser.rows(SEGMENTS) == []

    browser.click(f"#{SEGMENTS}__action_create")
    browser.fill("id_name", "rack")
    browser.choose("id_recovery_method", "auto")
    browser.fill("id_description", "made in a browser")
    browser.shoot("create")
    browser.click(SUBMIT)
    browser.wait_for("made in a browser", f"#{SEGMENTS}")
    browser.shoot("created")

    (row,) = browser.rows(SEGMENTS)
    uuid = row["UUID"]
    columns = ("Name", "Recovery Method", "Service Type", "Description", "Enabled")
    assert shown([row], *columns) == [("rack", "auto", "compute", "made in a browser", "Yes")]

    browser.click(f"#{SEGMENTS}__row_{uuid}__action_update")
    browser.fill("id_name", "rack-1")
    browser.choose("id_recovery_method", "reserved_host")
    browser.fill("id_description", "edited")
    browser.shoot("edit")
    browser.click(SUBMIT)
    browser.wait_for("edited", f"#{SEGMENTS}")
    browser.shoot("edited")

    assert shown(browser.rows(SEGMENTS), *columns) == [
        ("rack-1", "reserved_host", "compute", "edited", "Yes")
    ]

    browser.click(f"#{SEGMENTS}__row__{uuid} .dropdown-toggle")
    browser.click(f"#{SEGMENTS}__row_{uuid}__action_add_host")
    browser.choose("id_name", DEAD)
    browser.choose("id_reserved", "True")
    browser.fill("id_type", "COMPUTE")
    browser.fill("id_control_attributes", "ssh")
    browser.shoot("add-host")
    browser.click(SUBMIT)
    browser.wait_for("Host created successfully")
    browser.open(f"{PANELS}/segments/{uuid}/detail?tab=segment_details__host_tab")
    browser.shoot("hosts-of-segment")
    hosts = browser.rows("host")
    browser.open(f"{PANELS}/hosts/")
    browser.shoot("hosts")

    assert browser.rows("host") == hosts
    assert shown(hosts, "Name", "Reserved", "Type", "Control Attribute", "On Maintenance") == [
        (DEAD, "True", "COMPUTE", "ssh", "False")
    ]

    browser.open(f"{PANELS}/segments/")
    browser.click(f"#{SEGMENTS}__row__{uuid} .themable-checkbox label")
    browser.click(f"#{SEGMENTS}__action_delete")
    browser.wait_for("Confirm Delete Segments")
    browser.shoot("delete")
    browser.click(CONFIRM)
    browser.wait_for("Deleted Segment: rack-1")
    browser.shoot("deleted")

    assert browser.rows(SEGMENTS) == []
    assert list(bed.connect().instance_ha.segments()) == []


def test_recovery_is_followed_step_by_step_and_vm_by_vm(bed, browser, deployment, ha):
    ids = bed.boot(DEAD, 3)
    ha.register()
    bed.kill(DEAD, monitor=deployment.monitor)
    uuid = ha.wait_until_recovered(DEAD)

    browser.open(f"{PANELS}/notifications/")
    browser.shoot("notifications")
    columns = ("UUID", "Type", "Status")
    assert shown(browser.rows("notifications"), *columns) == [(uuid, "COMPUTE_HOST", "finished")]

    browser.open(f"{PANELS}/notifications/{uuid}/detail")
    browser.shoot("overview")
    assert "finished" in browser.text("dl")

    progress = "notification_progress_details"
    browser.click(f'a[href="?tab=notification_details__{progress}"]')
    browser.wait_for("VMs recovered: 3, failed: 0, left alone: 0.")
    browser.shoot("progress")
    steps = shown(browser.rows(progress), "Action", "Message")
    assert list(dict(steps)) == [
        "DisableComputeServiceTask",
        "PrepareHAEnabledInstancesTask",
        "EvacuateInstancesTask",
    ]
    assert steps == [
        (step, message) for step, _, _, messages in ha.steps(uuid) for message in messages
    ]

    browser.click('a[href="?tab=notification_details__vmove_tab"]')
    browser.wait_for("succeeded", "#vmove")
    browser.shoot("vmoves-of-notification")
    moves = browser.rows("vmove")
    browser.open(f"{PANELS}/vmoves/")
    browser.shoot("vmoves")
    assert browser.rows("vmove") == moves
    assert sorted(shown(moves, "Server ID", "Source Host", "Status")) == sorted(
        (server, DEAD, "succeeded") for server in ids
    )


def test_many_segments_are_paged(bed, browser):
    api = bed.connect().instance_ha
    names = [f"rack-{n:02}" for n in range(PAGE + 5)]
    for name in names:
        api.create_segment(name=name, recovery_method="auto", service_type="compute")
    newest_first = [(name,) for name in reversed(names)]

    browser.open(f"{PANELS}/segments/")
    browser.shoot("first-page")
    assert shown(browser.rows(SEGMENTS), "Name") == newest_first[:PAGE]

    browser.click(f"#{SEGMENTS} tfoot a")
    browser.wait_for(names[0], f"#{SEGMENTS}")
    browser.shoot("second-page")
    assert shown(browser.rows(SEGMENTS), "Name") == newest_first[PAGE:]
