"""Databases of each old revision, brought up by the real command, and what then works on them."""

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from masakari.clock import SystemClock
from masakari.sim.cloud import Settings, SimCloud
from masakari.sim.http import SimServer
from masakari.tests import conftest, servers
from masakari.tests.functional import promises
from masakari.tests.functional.engine.api import Api
from masakari.tests.functional.program import AUTHTOKEN, Program, free_port, wait
from masakari.tests.functional.upgrade import openstack

pytestmark = pytest.mark.functional

CONFIG = (
    AUTHTOKEN
    + """\
[DEFAULT]
auth_strategy = noauth2
masakari_api_listen_port = {port}
state_path = {directory}
[database]
connection = {database}
[engine]
lease = 3
sweep_interval = 1
[host]
monitoring_driver = nova
[nova]
timeout = 5
"""
)
MANAGE = Path(sys.executable).parent / "masakari-manage"


class Site:
    """An old database, a cloud whose compute1 has died, and our programs."""

    def __init__(self, directory, database):
        self.cloud = SimCloud(SystemClock(), Settings(evacuation_s=0.5, service_down_time_s=2))
        for n in (1, 2, 3):
            self.cloud.add_host(f"compute{n}")
        place = ["compute1", "compute1", "compute1", "compute2"]
        self.servers = [
            self.cloud.add_server(host, f"vm{n}", metadata={"HA_Enabled": "True"})
            for n, host in enumerate(place)
        ]
        self.nova = SimServer(self.cloud)
        self.engine = sa.create_engine(database, poolclass=sa.NullPool)
        self.config = directory / "masakari.conf"
        port = free_port()
        self.api = Api(f"http://127.0.0.1:{port}/v1")
        self.config.write_text(
            CONFIG.format(
                port=port, directory=directory, database=database, keystone=self.nova.auth_url
            )
        )
        self.program = Program("masakari-standalone", self.config, directory / "masakari.log")

    def manage(self, *argv):
        done = subprocess.run(
            [MANAGE, "--config-file", self.config, *argv],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout.strip()

    def get(self, path):
        status, answer = self.api.call("GET", path)
        assert status == 200, (path, status, answer)
        return answer

    def ended(self):
        found = {n["notification_uuid"]: n["status"] for n in self.api.notifications()}
        return found if found and not {"new", "running", "error"} & set(found.values()) else None


@pytest.fixture
def database(request, server, tmp_path):
    """URL of an empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/masakari.sqlite"
    else:
        with conftest.fresh_database(server, request.param) as url:
            yield url


@pytest.fixture
def site(tmp_path, database):
    return Site(tmp_path, database)


@pytest.mark.parametrize(
    ("database", "revision"),
    [
        *((kind, revision) for kind in servers.DATABASES for revision in openstack.REVISIONS),
        ("sqlite", openstack.MESSAGE),
    ],
    indirect=["database"],
)
def test_old_database_is_brought_up_listed_and_its_recoveries_are_continued(site, revision):
    openstack.create(site.engine, revision)
    openstack.fill(site.engine, revision, SystemClock().now(), site.servers)
    assert site.manage("db", "version") == revision

    site.manage("db", "sync")

    with contextlib.ExitStack() as stack:
        site.nova.start()
        stack.callback(site.nova.stop)
        site.cloud.power_off("compute1")
        stack.callback(site.program.stop)
        site.program.start()
        wait("the API answers", lambda: site.api.call("GET", "/segments")[0] == 200, 90)
        wait("all has ended", site.ended, 180)
        assert_everything_is_listed(site, revision)
        assert_ended_by_the_rules(site, revision)
        assert not site.program.said("Traceback")


def assert_everything_is_listed(site, revision):
    (segment,) = site.get("/segments")["segments"]
    assert (segment["uuid"], segment["name"], segment["enabled"]) == (
        openstack.RACK,
        "rack",
        True,
    )
    assert site.get(f"/segments/{openstack.RACK}")["segment"]["recovery_method"] == "auto"
    hosts = site.get(f"/segments/{openstack.RACK}/hosts")["hosts"]
    assert {h["name"]: h["uuid"] for h in hosts} == {
        "compute1": openstack.COMPUTE1,
        "compute2": openstack.COMPUTE2,
        "compute3": openstack.COMPUTE3,
    }
    for host in hosts:
        shown = site.get(f"/segments/{openstack.RACK}/hosts/{host['uuid']}")["host"]
        assert shown["reserved"] is False
    listed = {n["notification_uuid"] for n in site.api.notifications()}
    assert listed == set(openstack.NOTIFICATIONS)
    for notification in openstack.NOTIFICATIONS:
        shown = site.get(f"/notifications/{notification}")["notification"]
        assert isinstance(shown["payload"], dict)
        if shown["type"] != "COMPUTE_HOST":
            continue  # it has no vmoves, and asking for them is answered 400
        for move in site.get(f"/notifications/{notification}/vmoves")["vmoves"]:
            path = f"/notifications/{notification}/vmoves/{move['uuid']}"
            assert site.get(path)["vmove"]["instance_uuid"]
    if revision != openstack.INITIAL:
        moves = site.get(f"/notifications/{openstack.FINISHED}/vmoves")["vmoves"]
        assert {m["status"] for m in moves} == {"succeeded", None}


def assert_ended_by_the_rules(site, revision):
    ends = {
        n["notification_uuid"]: (n["status"], (n.get("message") or "").partition(":")[0])
        for n in (
            site.get(f"/notifications/{uuid}")["notification"] for uuid in openstack.NOTIFICATIONS
        )
    }
    assert ends[openstack.RUNNING][0] == "finished", ends
    assert ends[openstack.EXPIRED] == ("failed", "expired"), ends
    assert ends[openstack.ERROR][0] == "finished", ends
    assert ends[openstack.NEW][0] == "finished", ends
    assert ends[openstack.GONE][0] in ("ignored", "failed"), ends
    assert ends[openstack.GONE][1], ends
    untouched = {openstack.FINISHED: "finished", openstack.FAILED: "failed"}
    untouched[openstack.IGNORED] = "ignored"
    assert {uuid: ends[uuid][0] for uuid in untouched} == untouched
    running = site.cloud.running()
    assert all(len(hosts) == 1 and hosts != ["compute1"] for hosts in running.values()), running
    promises.keep(site.cloud)
    details = site.get(f"/notifications/{openstack.RUNNING}")["notification"][
        "recovery_workflow_details"
    ]
    assert details[0]["progress_details"][0]["message"] == "Disabling"  # the old engine's words


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
@pytest.mark.parametrize("number", openstack.LEGACY)
def test_database_of_before_alembic_is_brought_up(site, number):
    revision = openstack.LEGACY[number]
    openstack.create(site.engine, revision, legacy=number)
    openstack.fill(site.engine, revision, SystemClock().now(), site.servers)

    site.manage("db", "sync")

    assert site.manage("db", "version") not in openstack.REVISIONS


@pytest.mark.parametrize("database", servers.DATABASES, indirect=True)
def test_old_programs_find_their_columns_after_the_upgrade(site):
    now = SystemClock().now().replace(microsecond=0)
    openstack.create(site.engine, openstack.MESSAGE)
    site.manage("db", "sync")

    openstack.fill(site.engine, openstack.MESSAGE, now, site.servers)
    openstack.work(site.engine, now)
