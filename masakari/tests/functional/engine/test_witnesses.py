"""Monitors that tell of one death, while what they tell it to dies, too."""

import concurrent.futures
import urllib.parse

import pytest

from masakari.clock import SystemClock, wait_until
from masakari.tests import servers
from masakari.tests.functional.engine.test_recovery import Deployment
from masakari.tests.functional.program import wait

pytestmark = pytest.mark.functional

# one death, as five monitors put it
PAYLOADS = [
    {"event": "STOPPED", "host_status": "NORMAL"},
    {"event": "STOPPED", "host_status": "NORMAL", "cluster_status": "OFFLINE"},
    {"event": "STOPPED", "host_status": "NORMAL", "cluster_status": "ONLINE"},
    {"event": "STOPPED", "host_status": "NORMAL", "proof": "fenced"},
    {
        "event": "STOPPED",
        "host_status": "NORMAL",
        "cluster_status": "OFFLINE",
        "proof": "power-off",
    },
]


@pytest.fixture
def gate(mariadb_url):
    with servers.Gate(urllib.parse.urlsplit(mariadb_url).port) as gate:
        yield gate


@pytest.fixture
def deployment(tmp_path, mariadb_url, rabbit_url, gate):
    port = urllib.parse.urlsplit(mariadb_url).port
    url = mariadb_url.replace(f":{port}/", f":{gate.port}/")
    with Deployment(tmp_path, url, rabbit_url) as deployment:
        yield deployment


def tell(api, seen_at, payload):
    """The last word of the API about it; until then it is told again, as a monitor does."""
    body = {
        "notification": {
            "type": "COMPUTE_HOST",
            "hostname": "compute1",
            "generated_time": seen_at.isoformat(),
            "payload": payload,
        }
    }
    name = {"X-Masakari-Monitor": f"monitor {PAYLOADS.index(payload)}"}
    answers = []

    def is_heard():
        answers.append(api.call("POST", "/notifications", body, version="1.4", headers=name)[0])
        return answers[-1] in (202, 409)

    assert wait_until(SystemClock(), is_heard, 90, 0.05), answers
    return answers[-1]


def test_five_that_see_one_death_are_heard_though_api_and_database_go(deployment, gate):
    deployment.cloud.power_off("compute1")
    seen_at = SystemClock().now()

    gate.shut()
    with concurrent.futures.ThreadPoolExecutor(len(PAYLOADS)) as pool:
        told = [pool.submit(tell, deployment.api, seen_at, payload) for payload in PAYLOADS]
        deployment.server.wait_until_said("the database is not available")
        gate.open()
        wait("one is heard", lambda: any(one.done() for one in told), 60)
        deployment.server.kill()
        deployment.server.start()
        answers = sorted(one.result(120) for one in told)

    assert answers.count(409) >= len(PAYLOADS) - 1  # who was heard by the one that was killed asks
    (notification,) = deployment.api.notifications()
    path = f"/notifications/{notification['notification_uuid']}"
    deployment.wait_until_finished(path)
    shown = deployment.api.call("GET", path, version="1.4")[1]["notification"]
    by = {w["reported_by"].partition(" (")[0]: w["payload"] for w in shown["witnesses"]}
    assert by == {f"monitor {n}": payload for n, payload in enumerate(PAYLOADS)}
