"""Driver and push source kubernetes, before a small stand-in for the API server, no real one."""

import base64
import contextlib
import http.server
import itertools
import json
import ssl
import threading
import urllib.parse

import pytest
import trustme
import yaml

from masakari import errors
from masakari.clock import SystemClock, wait_until
from masakari.monitors import core
from masakari.monitors.hosts import kubeconfig, waiting
from masakari.monitors.hosts.kubernetes import KubernetesProbe
from masakari.monitors.hosts.kubernetes_watch import KubernetesWatch
from masakari.monitors.hosts.opinions import Opinion, Sign
from masakari.monitors.judge import State
from masakari.sim.clock import SimClock
from masakari.tests.unit.monitors.drivers import Watched, configured, seen

PATIENCE_S = 60


class Cluster:
    """Nodes with a history, as the API server has them: list with pages, watch from a version."""

    def __init__(self):
        self.lock = threading.Condition()
        self.cuts = 0
        """So often all that watched were cut off."""
        self.nodes = {}
        self.history = []
        self.forgotten = 0
        self.page = 500
        self.asked = []
        self.says = None
        self.token = "a-token"

    def set(self, name, ready, kind=None):
        with self.lock:
            kind = kind or ("MODIFIED" if name in self.nodes else "ADDED")
            version = str(len(self.history) + 1)
            conditions = [{"type": "MemoryPressure", "status": "False"}]
            if ready is not None:
                conditions.append({"type": "Ready", "status": ready, "reason": "NodeStatus"})
            node = {
                "metadata": {"name": name, "resourceVersion": version},
                "status": {"conditions": conditions},
            }
            self.history.append({"type": kind, "object": node})
            self.nodes[name] = node
            if kind == "DELETED":
                del self.nodes[name]
            self.lock.notify_all()

    def cut(self, says=None):
        """Watches end; what asks then is told what *says* has, if it has something."""
        with self.lock:
            self.says = says
            self.cuts += 1
            self.lock.notify_all()

    def watch(self, version, cuts):
        """Lines of events after *version*, as they happen, until another `cut` than *cuts*."""
        with self.lock:
            while self.cuts == cuts:
                events, version = self.history[version:], len(self.history)
                if events:
                    yield b"".join(json.dumps(event).encode() + b"\n" for event in events)
                elif not self.lock.wait(PATIENCE_S):
                    return

    def list(self, after):
        names = [name for name in sorted(self.nodes) if name > after]
        page, rest = names[: self.page], names[self.page :]
        metadata = {"resourceVersion": str(len(self.history))}
        if rest:
            metadata["continue"] = page[-1]
        return {"metadata": metadata, "items": [self.nodes[name] for name in page]}

    def since(self, version):
        if version < self.forgotten:
            gone = {"code": 410, "metadata": {}}
            return [{"type": "ERROR", "object": gone}]
        bookmark = {"metadata": {"resourceVersion": str(len(self.history))}}
        return [*self.history[version:], {"type": "BOOKMARK", "object": bookmark}]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        cluster, parts = self.server.cluster, urllib.parse.urlsplit(self.path)
        given = dict(urllib.parse.parse_qsl(parts.query))
        cuts = cluster.cuts
        cluster.asked.append(given)
        if cluster.says is not None:
            self._answer(*cluster.says)
        elif self.headers.get("Authorization") != f"Bearer {cluster.token}":
            self._answer(401, b"{}")
        elif parts.path != "/api/v1/nodes":
            self._answer(404, b"{}")
        elif given.get("timeoutSeconds") == str(waiting.WAIT_S):
            self._stream(cluster.watch(int(given["resourceVersion"]), cuts))
        elif "watch" in given:
            events = cluster.since(int(given["resourceVersion"]))
            self._answer(200, b"".join(json.dumps(event).encode() + b"\n" for event in events))
        else:
            self._answer(200, json.dumps(cluster.list(given.get("continue", ""))).encode())

    def _answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, pieces):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in itertools.chain(pieces, [b""]):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))

    def log_message(self, *_args):
        pass


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def server(authority):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        made.daemon_threads = True
        made.socket = context.wrap_socket(made.socket, server_side=True)
        made.cluster = Cluster()
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def cluster(server):
    for n in (1, 2, 3):
        server.cluster.set(f"compute{n}", "True")
    return server.cluster


class Hosts:
    """A second opinion: hosts in `silent` do not answer."""

    def __init__(self):
        self.silent = set()

    def ask(self, hosts):
        return {
            host: Opinion(Sign.SILENT if host in self.silent else Sign.ALIVE, "") for host in hosts
        }


def written(path, server, authority, user=None, *, url=None):
    """A kubeconfig."""
    ca = base64.b64encode(authority.cert_pem.bytes()).decode()
    url = url or f"https://127.0.0.1:{server.server_address[1]}"
    where = {"server": url, "certificate-authority-data": ca}
    path.write_text(
        yaml.safe_dump(
            {
                "clusters": [{"name": "c", "cluster": where}],
                "users": [{"name": "u", "user": user or {"token": "a-token"}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    return str(path)


@pytest.fixture
def hosts():
    return Hosts()


@pytest.fixture
def probe(server, cluster, authority, hosts, tmp_path):
    """A maker of probes of compute1 to compute3 and one that is no node."""
    with SimClock() as clock:

        def make(path=None, **options):
            path = path or written(tmp_path / "kubeconfig", server, authority)
            conf = configured("kubernetes", kubeconfig=path, **options)
            watched = Watched("compute1", "compute2", "compute3", "other")
            return KubernetesProbe.from_conf(conf, watched, clock, second_opinion=hosts)

        make.hosts = hosts
        yield make


def test_nodes_that_are_ready_are_online(probe):
    found = seen(probe())

    assert found == {
        **{f"compute{n}": (State.ONLINE, "the node is ready") for n in (1, 2, 3)},
        "other": (State.UNKNOWN, "Kubernetes has no node of that name"),
    }


@pytest.mark.parametrize(
    ("ready", "silent", "state"),
    [
        ("False", False, State.DOUBTFUL),
        ("False", True, State.DOUBTFUL),
        ("Unknown", False, State.DOUBTFUL),
        ("Unknown", True, State.OFFLINE),
        (None, True, State.UNKNOWN),
    ],
)
def test_change_is_followed(probe, cluster, ready, silent, state):
    made = probe()
    made.look()
    cluster.set("compute1", ready)
    probe.hosts.silent = {"compute1"} if silent else set()

    found = seen(made)

    assert found["compute1"][0] is state
    assert found["compute2"][0] is State.ONLINE
    assert cluster.asked[-1]["watch"] == "true"


def test_nodes_whose_names_differ_in_case_or_domain_are_the_hosts(probe, cluster):
    cluster.nodes.clear()
    for name in ("COMPUTE1.example.com", "compute2.example.com"):
        cluster.set(name, "True")

    found = seen(probe())

    assert {found["compute1"][0], found["compute2"][0]} == {State.ONLINE}


def test_node_that_returns_is_online_again(probe, cluster, hosts):
    made = probe()
    hosts.silent = {"compute1"}
    states = []
    for ready in ("Unknown", "True"):
        cluster.set("compute1", ready)
        states.append(seen(made)["compute1"][0])

    assert states == [State.OFFLINE, State.ONLINE]


def test_node_that_is_deleted_is_unknown(probe, cluster):
    made = probe()
    made.look()
    cluster.set("compute1", "Unknown", kind="DELETED")

    assert seen(made)["compute1"] == (State.UNKNOWN, "Kubernetes has no node of that name")


def test_node_that_was_dead_at_the_start_is_seen(probe, cluster, hosts):
    cluster.set("compute2", "Unknown")
    hosts.silent = {"compute2"}

    assert seen(probe())["compute2"][0] is State.OFFLINE


def test_list_comes_in_pages(probe, cluster):
    cluster.page = 1

    assert [s for s, _ in seen(probe()).values()].count(State.ONLINE) == 3


def test_history_is_forgotten_nodes_are_listed_again(probe, cluster, hosts):
    made = probe()
    made.look()
    cluster.set("compute1", "Unknown")
    cluster.forgotten = 100
    hosts.silent = {"compute1"}

    assert seen(made)["compute1"][0] is State.OFFLINE
    assert "watch" not in cluster.asked[-1]


def test_labels_are_asked_for(probe, cluster):
    made = probe(monitoring_node_labels="role=compute")
    made.look()
    made.look()

    assert [given["labelSelector"] for given in cluster.asked] == ["role=compute"] * 2


@pytest.mark.parametrize(
    ("says", "why"),
    [
        ((410, b"{}"), "forgets what it lists before it was read"),
        ((500, b"{}"), "answers 500 to /api/v1/nodes"),
        ((403, b"{}"), "answers 403 to /api/v1/nodes"),
        ((200, b'{"items": ['), "gave no usable answer"),
        ((200, b'{"items": 3, "metadata": {}}'), "gave no usable answer"),
        ((200, b"[]"), "gave no usable answer"),
        ((302, b""), "answers 302 to /api/v1/nodes"),
    ],
)
def test_answer_that_is_odd_is_blindness_and_passes(probe, cluster, says, why):
    made = probe()
    cluster.says = says
    with pytest.raises(core.Blind, match=why):
        made.look()
    cluster.says = None

    assert seen(made)["compute1"][0] is State.ONLINE


def test_watch_that_is_cut_off_is_blindness_and_passes(probe, cluster, hosts):
    made = probe()
    made.look()
    cluster.says = (200, b'{"type": "MODIF')
    with pytest.raises(core.Blind, match="gave no usable answer"):
        made.look()
    cluster.says = None
    cluster.set("compute1", "Unknown")
    hosts.silent = {"compute1"}

    assert seen(made)["compute1"][0] is State.OFFLINE


def test_server_that_is_away_is_blindness(probe, server, authority, tmp_path):
    path = written(tmp_path / "k", server, authority, url="https://127.0.0.1:9")

    with pytest.raises(core.Blind, match=r"does not answer .*refused"):
        probe(path).look()


def test_server_of_another_authority_gets_no_token(probe, server, cluster, tmp_path):
    path = written(tmp_path / "k", server, trustme.CA())

    with pytest.raises(core.Blind, match="does not answer"):
        probe(path).look()
    assert cluster.asked == []


# ---- the watch that pushes


@pytest.fixture
def told(server, cluster, authority, tmp_path, monkeypatch):
    """What is told, while it is watched."""
    monkeypatch.setattr(waiting, "AT_MOST_EACH_S", 0.01)
    monkeypatch.setattr(waiting, "PAUSE_S", 0.01)
    conf = configured("kubernetes", kubeconfig=written(tmp_path / "k", server, authority))
    told = []
    source = KubernetesWatch.from_conf(conf, SystemClock(), lambda *said: told.append(said))
    source.start()
    wait_for(lambda: cluster.asked and "watch" in cluster.asked[-1])
    yield told
    source.stop()
    cluster.cut()


def wait_for(predicate):
    assert wait_until(SystemClock(), predicate, PATIENCE_S, 0.01)


def says(*nodes):
    return [("kubernetes", f"Kubernetes has another state of {node}") for node in nodes]


def test_watch_tells_of_nodes_whose_state_changes_and_of_no_others(told, cluster):
    cluster.set("compute1", "True")
    cluster.set("compute2", "Unknown")
    wait_for(lambda: told)
    cluster.set("compute2", "Unknown")
    cluster.set("compute3", "False", "DELETED")
    wait_for(lambda: len(told) == 2)

    assert told == says("compute2", "compute3")


def test_watch_that_ends_goes_on_where_it_was(told, cluster):
    cluster.cut()
    wait_for(lambda: len(cluster.asked) >= 3)
    cluster.set("compute1", "Unknown")
    wait_for(lambda: told)

    assert told == says("compute1")
    assert [("watch" in asked) for asked in cluster.asked[:3]] == [False, True, True]


@pytest.mark.parametrize("trouble", [(500, b"{}"), (200, b"[]"), (410, b"{}")])
def test_watch_in_trouble_tells_afterwards_what_has_changed(told, cluster, trouble, caplog):
    caplog.set_level("INFO")
    cluster.cut(trouble)
    wait_for(lambda: "Kubernetes is not available: the Kubernetes API " in caplog.text)
    cluster.set("compute1", "Unknown")
    assert told == []
    cluster.says = None
    wait_for(lambda: told)

    assert told == says("compute1")
    assert caplog.text.count("Kubernetes is not available") == 1
    assert "Kubernetes is available again" in caplog.text


# ---- how the API is reached


def test_certificate_of_a_client_and_token_file_are_taken(
    probe, server, authority, cluster, tmp_path
):
    client = authority.issue_cert("monitor@example.com")
    (tmp_path / "token").write_text("a-token\n")
    client.private_key_pem.write_to_path(tmp_path / "key.pem")
    chain = base64.b64encode(client.cert_chain_pems[0].bytes()).decode()
    user = {"tokenFile": "token", "client-certificate-data": chain, "client-key": "key.pem"}

    made = probe(written(tmp_path / "k", server, authority, user))

    assert seen(made)["compute1"][0] is State.ONLINE


def test_pod_reaches_its_own_cluster(server, authority, cluster, tmp_path, monkeypatch):
    authority.cert_pem.write_to_path(tmp_path / "ca.crt")
    (tmp_path / "token").write_text("a-token")
    monkeypatch.setattr(kubeconfig, "ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.server_address[1]))
    with SimClock() as clock:
        made = KubernetesProbe.from_conf(
            configured("kubernetes"), Watched("compute1"), clock, second_opinion=Hosts()
        )
        first = seen(made)["compute1"][0]
        cluster.token = "another-token"
        with contextlib.suppress(core.Blind):
            made.look()
        (tmp_path / "token").write_text("another-token")

        assert (first, seen(made)["compute1"][0]) == (State.ONLINE, State.ONLINE)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "No such file or directory"),
        ("a: [hunter2", "is no YAML"),
        ("3", "is no kubeconfig"),
        ("{}", "names no context"),
        ("{current-context: x}", "has no context 'x'"),
        (
            "{current-context: x, contexts: [{name: x, context: {cluster: c}}]}",
            "has no cluster 'c'",
        ),
        (
            "{current-context: x, contexts: [{name: x, context: {cluster: c}}],"
            " clusters: [{name: c, cluster: {server: 'http://a'}}]}",
            "the cluster's server is no https URL",
        ),
        (
            "{current-context: x, contexts: [{name: x, context: {cluster: c, user: u}}],"
            " clusters: [{name: c, cluster: {server: 'https://a'}}],"
            " users: [{name: u, user: {exec: {command: hunter2}}}]}",
            "the user has exec: only tokens and certificates are understood",
        ),
        (
            "{current-context: x, contexts: [{name: x, context: {cluster: c}}], clusters: "
            "[{name: c, cluster: {server: 'https://a', certificate-authority-data: '?'}}]}",
            "certificate-authority-data is no base64",
        ),
        (
            "{current-context: x, contexts: [{name: x, context: {cluster: c}}], clusters: "
            "[{name: c, cluster: {server: 'https://a', certificate-authority-data: QUJD}}]}",
            "has no usable certificate",
        ),
    ],
)
def test_kubeconfig_that_is_wrong_is_named_with_the_reason(tmp_path, text, problem):
    path = tmp_path / "kubeconfig"
    if text is not None:
        path.write_text(text)

    with pytest.raises(
        errors.ConfigInvalid, match=rf"\[kubernetes\] kubeconfig: .*{problem}"
    ) as raised:
        kubeconfig.connect(configured("kubernetes", kubeconfig=str(path)))

    assert "hunter2" not in str(raised.value)


def test_kubeconfig_is_not_given_and_this_is_no_pod(monkeypatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

    with pytest.raises(errors.ConfigInvalid, match="it is not set, and this is no pod"):
        kubeconfig.connect(configured("kubernetes"))
