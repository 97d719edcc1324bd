"""masakari-api asks a Keystone and keeps its answers in a memcached; both come and go."""

import http.client
import json
import socket

import pytest

from masakari.clock import SystemClock
from masakari.sim.cloud import SimCloud
from masakari.sim.http import SimServer
from masakari.tests import servers
from masakari.tests.functional.program import Program, free_port, wait

pytestmark = pytest.mark.functional

VALIDATION = "keystone GET /v3/auth/tokens"
CONFIG = """\
[DEFAULT]
masakari_api_listen = 127.0.0.1
masakari_api_listen_port = {port}
masakari_api_workers = 2
transport_url = fake://
[database]
connection = {database}
[keystone_authtoken]
auth_type = password
auth_url = {keystone}
username = masakari
password = the-password-of-the-service
project_name = service
project_domain_id = default
user_domain_id = default
http_connect_timeout = 1
http_request_max_retries = 0
token_cache_time = 300
memcached_servers = 127.0.0.1:{memcached}
memcache_security_strategy = ENCRYPT
memcache_secret_key = the-key-of-the-cache
"""


class Site:
    """masakari-api with two workers; its Keystone and its memcached are each behind a gate."""

    def __init__(self, directory, database, memcached, keystone):
        self.keystone = keystone
        self.cache = servers.Gate(memcached)
        self.way_to_keystone = servers.Gate(int(keystone.url.rpartition(":")[2]))
        self.port = free_port()
        config = directory / "masakari.conf"
        config.write_text(
            CONFIG.format(
                port=self.port,
                database=database,
                keystone=f"http://127.0.0.1:{self.way_to_keystone.port}/v3",
                memcached=self.cache.port,
            )
        )
        self.program = Program("masakari-api", config, directory / "api.log")

    def get(self, token, **headers):
        """(status, document, headers) of the segments."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", "/v1/segments", headers={"X-Auth-Token": token, **headers})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read()), answer.headers
        finally:
            connection.close()

    def is_listening(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True


@pytest.fixture
def site(tmp_path, migrated_conf, server):
    memcached = server("memcached").port
    with SimServer(SimCloud(SystemClock())) as keystone:
        # what the catalogue says of Keystone goes through the gate, too
        site = Site(tmp_path, migrated_conf.database.connection, memcached, keystone)
        keystone.keystone.base_url = f"http://127.0.0.1:{site.way_to_keystone.port}"
        with site.cache, site.way_to_keystone:
            site.program.start()
            try:
                wait("masakari-api listens", site.is_listening, 60)
                yield site
            finally:
                site.program.stop()


def validations(site):
    return site.keystone.stats.kinds[VALIDATION]


def test_tokens_are_kept_for_all_workers_and_keystone_may_be_away(site, tmp_path):
    grant = site.keystone.keystone.grant
    admin, other, reader = (
        grant(*who, project=project)
        for who, project in (
            (("alice", "admin"), "admin"),
            (("alice", "admin"), "admin"),
            (("bob", "reader"), "service"),
        )
    )
    assert {site.get(admin)[0] for _ in range(20)} == {200}
    assert validations(site) == 1
    assert site.get(reader)[0] == 200
    assert site.get(grant("alice", "admin", project="admin", life_s=-60))[0] == 401
    expired = grant("alice", "admin", project="admin", life_s=-60)
    service = grant("nova", "service", project="service")
    assert site.get(expired, **{"X-Service-Token": service})[0] == 200

    site.way_to_keystone.shut()

    assert {site.get(admin)[0] for _ in range(10)} == {200}
    status, answer, headers = site.get(other)
    assert status == 503
    assert answer["serviceUnavailable"]["message"].startswith("Keystone is not available")
    assert int(headers["Retry-After"]) > 0

    site.way_to_keystone.open()
    site.cache.shut()

    wait("Keystone is asked again", lambda: site.get(other)[0] == 200, 30)
    before = validations(site)
    # the worker itself remembers it for a second
    wait(
        "it is asked about the known token, too",
        lambda: site.get(admin)[0] == 200 and validations(site) > before,
        30,
    )
    said = (tmp_path / "api.log").read_text()
    for secret in (admin, other, reader, "the-password-of-the-service", "the-key-of-the-cache"):
        assert secret not in said
