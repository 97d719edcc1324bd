"""The driver redfish, in front of a service that says what a test wants."""

import base64
import http.server
import json
import ssl
import threading

import pytest
import trustme

from masakari import errors
from masakari.monitors.hosts.redfish import RedfishPoller
from masakari.monitors.judge import State
from masakari.sim.clock import SimClock
from masakari.states import HostProof
from masakari.tests.unit.monitors.drivers import Watched, configured, private, seen

ONE = {"Members": [{"@odata.id": "/redfish/v1/Systems/1"}]}
SYSTEMS = "/redfish/v1/Systems"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        expected = base64.b64encode(b"admin:secret").decode()
        if self.headers.get("Authorization") != f"Basic {expected}":
            self._answer(401, b"{}")
            return
        self.server.asked.append(self.path)
        found = self.server.resources.get(self.path)
        status = 404 if found is None else 200
        body = found if isinstance(found, bytes) else json.dumps(found).encode()
        self._answer(status, body)

    def _answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args):
        pass


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def service(authority):
    """Serves `resources`, {path: what}."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.resources, server.asked = {}, []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def probe(service, authority, tmp_path):
    """A maker of probes of compute1, which has the service, with other fields in the file."""
    with SimClock() as clock:

        def make(ca=authority, **fields):
            port = service.server_address[1]
            entry = {"url": f"https://127.0.0.1:{port}", "username": "admin"}
            entry |= {"password": "secret"} | fields
            other = {"url": "https://127.0.0.1:9", "username": "u", "password": "p"}
            text = json.dumps({"hosts": {"compute1": entry, "compute2": other}})
            ca.cert_pem.write_to_path(tmp_path / "ca.pem")
            conf = configured(
                "redfish",
                hosts_file=private(tmp_path / "bmc.yaml", text),
                ca_file=str(tmp_path / "ca.pem"),
            )
            return RedfishPoller.from_conf(conf, Watched("compute1", "compute2"), clock)

        yield make


@pytest.mark.parametrize(
    ("power", "state"),
    [
        ("On", State.ONLINE),
        ("PoweringOff", State.UNKNOWN),
        ("PoweringOn", State.UNKNOWN),
        ("Paused", State.UNKNOWN),
    ],
)
def test_power_state_means(service, probe, power, state):
    service.resources = {SYSTEMS: ONE, f"{SYSTEMS}/1": {"PowerState": power}}

    found = seen(probe())["compute1"]

    assert found[0] is state
    assert found[1].endswith(f" says that the power is {power}")


def test_power_off_is_offline(service, probe):
    service.resources = {f"{SYSTEMS}/1": {"PowerState": "Off"}}
    poller = probe(system=f"{SYSTEMS}/1")._poller

    reading = poller.poll(["compute1"])[""]["compute1"]
    assert (reading.state, reading.proof) == (State.OFFLINE, HostProof.POWER_OFF)


def test_the_only_system_is_looked_up_once(service, probe):
    service.resources = {SYSTEMS: ONE, f"{SYSTEMS}/1": {"PowerState": "On"}}
    made = probe()

    made.look()
    made.look()

    assert service.asked == [SYSTEMS, f"{SYSTEMS}/1", f"{SYSTEMS}/1"]


@pytest.mark.parametrize(
    ("resources", "detail"),
    [
        ({}, f"answers 404 to {SYSTEMS}"),
        ({SYSTEMS: {"Members": []}}, "has 0 systems: the file has to name one as system"),
        ({SYSTEMS: {"Members": [{}, {}]}}, "has 2 systems: the file has to name one as system"),
        ({SYSTEMS: {"Members": 3}}, "has 0 systems: the file has to name one as system"),
        ({SYSTEMS: ONE}, f"answers 404 to {SYSTEMS}/1"),
        ({SYSTEMS: ONE, f"{SYSTEMS}/1": {}}, "does not tell a PowerState"),
        ({SYSTEMS: b'{"Members": ['}, "gave no usable answer (JSONDecodeError)"),
        ({SYSTEMS: ["Off"]}, f"does not answer with an object to {SYSTEMS}"),
    ],
)
def test_answer_that_is_odd_is_unknown(service, probe, resources, detail):
    service.resources = resources

    found = seen(probe())["compute1"]

    assert found[0] is State.UNKNOWN
    assert found[1].endswith(detail)


def test_password_that_is_wrong_is_unknown(probe):
    found = seen(probe(password="another"))["compute1"]

    assert found[0] is State.UNKNOWN
    assert found[1].endswith(f"answers 401 to {SYSTEMS}")
    assert "another" not in found[1]


def test_service_that_is_away_is_unknown(service, probe):
    service.resources = {SYSTEMS: ONE, f"{SYSTEMS}/1": {"PowerState": "On"}}

    found = seen(probe())["compute2"]

    assert found == (
        State.UNKNOWN,
        "the BMC https://127.0.0.1:9 gave no usable answer (ConnectionError)",
    )


def test_certificate_of_another_authority_gets_no_password(service, probe):
    found = seen(probe(ca=trustme.CA()))["compute1"]

    assert found[0] is State.UNKNOWN
    assert "has a certificate that is refused (" in found[1]
    assert service.asked == []


@pytest.mark.parametrize("url", ["http://10.0.9.1", "https://", "https://a/redfish", "10.0.9.1"])
def test_url_that_is_none_is_refused(probe, url):
    with pytest.raises(errors.ConfigInvalid, match=r"compute1: url is not https://ADDRESS"):
        probe(url=url)
