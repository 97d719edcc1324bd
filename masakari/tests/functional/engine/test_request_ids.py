"""The id of a request is followed: API, bus, engine, and what Nova is asked."""

import json
import urllib.request

import pytest

from masakari.clock import SystemClock
from masakari.tests.functional.engine import test_recovery
from masakari.tests.functional.engine.api import HEADERS, STOPPED

pytestmark = pytest.mark.functional

deployment = test_recovery.deployment
GLOBAL = "X-OpenStack-Request-ID"


def test_id_of_the_report_goes_as_far_as_nova(deployment):
    asked = []
    deployment.keystone.overheard = asked.append
    deployment.cloud.power_off("compute1")
    body = {
        "type": "COMPUTE_HOST",
        "hostname": "compute1",
        "generated_time": SystemClock().now().isoformat(),
        "payload": STOPPED,
    }
    content = json.dumps({"notification": body}).encode()
    url = deployment.api._url + "/notifications"
    with urllib.request.urlopen(urllib.request.Request(url, content, HEADERS)) as answer:
        request_id = answer.headers["x-openstack-request-id"]
        uuid = json.loads(answer.read())["notification"]["notification_uuid"]

    deployment.wait_until_finished(f"/notifications/{uuid}")

    changes = [r for r in asked if r.path.startswith("/compute") and r.method != "GET"]
    assert {r.headers.get(GLOBAL.lower()) for r in changes} == {request_id}
    evacuations = [r for r in changes if b'"evacuate"' in r.body]
    assert len(evacuations) == test_recovery.VMS
    told = [line for line in deployment.engine.log.read_text().splitlines() if request_id in line]
    for words in (f"notification {uuid}: claimed", "succeeded on", "running -> finished"):
        assert any(words in line for line in told), words
    sweeps = [r for r in asked if r.headers.get(GLOBAL.lower()) is None]
    assert sweeps, "what nobody asked for bears no id"
