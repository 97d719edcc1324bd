"""Observe only, cancel and retry: API and engines as real processes."""

import re
import signal

import pytest

from masakari.tests.functional import promises
from masakari.tests.functional.engine.test_recovery import VMS, Deployment
from masakari.tests.functional.program import wait

pytestmark = pytest.mark.functional

VERSION = "1.4"


@pytest.fixture
def deployment(tmp_path, mariadb_url, rabbit_url):
    with Deployment(tmp_path, mariadb_url, rabbit_url) as deployment:
        yield deployment


def observe_only(deployment, is_on):
    (segment,) = deployment.api.call("GET", "/segments")[1]["segments"]
    body = {"segment": {"observe_only": is_on}}
    status, answer = deployment.api.call("PUT", f"/segments/{segment['uuid']}", body, VERSION)
    assert status == 200, answer


def observe_everywhere(deployment, is_on):
    """The engine's file says so, and it has read it again."""
    text, value = deployment.config.read_text(), str(is_on).lower()
    text = re.sub("observe_only = .*\n", "", text)
    deployment.config.write_text(text.replace("[engine]\n", f"[engine]\nobserve_only = {value}\n"))
    deployment.engine.signal(signal.SIGHUP)
    was = "None" if is_on else "true"  # as the file has it
    deployment.engine.wait_until_said(f"observe_only changed from [{was}] to [{value}]")


def act(deployment, path, action):
    status, answer = deployment.api.call("POST", f"{path}/action", {action: None}, VERSION)
    assert status == 202, answer


def ends_as(deployment, path, status):
    wait(f"it is {status}", lambda: deployment.notification(path)["status"] == status, 90)
    return deployment.notification(path)


def test_what_was_observed_is_then_done_in_the_same_order(deployment):
    observe_only(deployment, True)
    observed = deployment.report()
    plan = ends_as(deployment, observed, "ignored")
    moves = deployment.api.call("GET", f"{observed}/vmoves?sort_key=id&sort_dir=asc")[1]["vmoves"]

    assert plan["message"].startswith(f"observe-only: would evacuate these {VMS} VMs"), plan
    assert {m["status"] for m in moves} == {"ignored"}
    assert deployment.cloud.ledger.evacuations == []
    assert deployment.cloud.left_locked() == []
    assert deployment.cloud.compute_services("compute1")[0].is_enabled

    observe_only(deployment, False)
    observe_everywhere(deployment, True)
    again = ends_as(deployment, f"/notifications/{deployment.api.report('compute1')}", "ignored")
    assert again["message"] == plan["message"]
    assert deployment.cloud.ledger.evacuations == []

    observe_everywhere(deployment, False)
    deployment.wait_until_finished(f"/notifications/{deployment.api.report('compute1')}")
    moved = deployment.api.call("GET", "/notifications?sort_key=id&sort_dir=desc")[1]
    path = f"/notifications/{moved['notifications'][0]['notification_uuid']}"
    done = deployment.api.call("GET", f"{path}/vmoves?sort_key=id&sort_dir=asc")[1]["vmoves"]
    assert [m["instance_uuid"] for m in done] == [m["instance_uuid"] for m in moves]


def test_cancelled_when_the_engine_is_killed_and_retried(deployment):
    path = deployment.report()
    wait("some are on their way", lambda: deployment.has_moved(2), 60)

    act(deployment, path, "cancel")
    deployment.engine.kill()
    deployment.other.start()
    begun = len(deployment.cloud.ledger.evacuations)
    ended = ends_as(deployment, path, "failed")

    assert ended["message"].startswith("cancelled-by-operator:"), ended
    asked_for = len(deployment.cloud.ledger.evacuations)
    assert begun == asked_for < VMS
    promises.keep(deployment.cloud)
    wait("nothing is locked", lambda: deployment.cloud.left_locked() == [], 30)
    statuses = [m["status"] for m in deployment.api.call("GET", f"{path}/vmoves")[1]["vmoves"]]
    assert sorted(set(statuses)) == ["ignored", "succeeded"]

    act(deployment, path, "retry")
    deployment.wait_until_finished(path)
