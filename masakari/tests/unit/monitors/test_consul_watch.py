"""The push source consul against an agent of ours that speaks HTTP."""

import http.server
import json
import threading
from urllib import parse

import pytest

from masakari import clock, errors
from masakari.monitors.hosts import consul_watch, waiting
from masakari.monitors.hosts.consul_watch import ConsulWatch
from masakari.tests.unit.monitors.drivers import configured

PATIENCE_S = 30


def check(node, service=""):
    """A check as Consul has it, of the node or of one of its services."""
    check_id = f"service:{service}" if service else "serfHealth"
    return {"Node": node, "CheckID": check_id, "Status": "critical", "ServiceID": service}


class Agent:
    """Answers a question with an index when it has another one."""

    def __init__(self):
        self.changed = threading.Condition()
        self.index = 7
        self.critical = [check("compute9")]
        self.malformed = ""
        self.status = 200
        self.asked = []
        self.is_over = False

    def becomes(self, **changes):
        with self.changed:
            for name, value in changes.items():
                setattr(self, name, value)
            self.changed.notify_all()

    def answer(self, url):
        """(status, index, body)"""
        query = dict(parse.parse_qsl(url.query))
        assert query.pop("filter") == 'ServiceID == ""'
        with self.changed:
            self.asked.append(query)
            self.changed.notify_all()
            known = query.get("index")
            if known is not None:
                self.changed.wait_for(
                    lambda: str(self.index) != known or self.status != 200 or self.is_over,
                    PATIENCE_S,
                )
            nodes = [each for each in self.critical if each["ServiceID"] == ""]
            return self.status, self.index, self.malformed or json.dumps(nodes)

    def wait_asked(self, with_index):
        """A question is there that begins with what the agent knows at *with_index*."""
        with self.changed:
            wanted = {"index": str(with_index), "wait": "60s"}
            assert self.changed.wait_for(lambda: self.asked[-1:] == [wanted], PATIENCE_S)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = parse.urlsplit(self.path)
        assert url.path == consul_watch.PATH
        status, index, said = self.server.agent.answer(url)
        body = said.encode()
        self.send_response(status)
        if index:
            self.send_header("X-Consul-Index", str(index))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def agent():
    agent = Agent()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.agent = agent
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        agent.address = f"127.0.0.1:{server.server_address[1]}"
        try:
            yield agent
        finally:
            agent.becomes(is_over=True)
            server.shutdown()


@pytest.fixture
def told(agent, monkeypatch):
    """What is told, while it is watched."""
    monkeypatch.setattr(waiting, "AT_MOST_EACH_S", 0.01)
    monkeypatch.setattr(waiting, "PAUSE_S", 0.01)
    told = []
    conf = configured("consul", agent_tenant=agent.address)
    source = ConsulWatch.from_conf(conf, clock.SystemClock(), lambda *said: told.append(said))
    source.start()
    yield told
    source.stop()


SAID = ("consul", "Consul's health on the tenant network has changed")


def wait_for(told, number):
    assert clock.wait_until(clock.SystemClock(), lambda: len(told) >= number, PATIENCE_S, 0.01)


def test_each_change_of_health_is_told_and_nothing_else(agent, told):
    agent.wait_asked(7)
    assert told == []

    agent.becomes(index=8, critical=[check("compute9"), check("compute1")])
    agent.wait_asked(8)
    agent.becomes(index=9, critical=[check("compute9")])
    agent.wait_asked(9)

    assert told == [SAID, SAID]


def test_checks_of_services_that_flap_are_not_told(agent, told):
    agent.wait_asked(7)

    for index in range(8, 12):
        services = [check("compute1", "web")] if index % 2 else []
        agent.becomes(index=index, critical=[check("compute9"), *services])
        agent.wait_asked(index)

    assert told == []


def test_index_that_goes_back_is_forgotten(agent, told):
    """As after the restart of all servers."""
    agent.wait_asked(7)

    agent.becomes(index=2, critical=[])
    wait_for(told, 1)

    agent.wait_asked(2)
    assert agent.asked[-2] == {}


@pytest.mark.parametrize(
    "trouble",
    [
        {"status": 500},
        {"index": 0},
        {"index": "x"},
        {"index": 8, "malformed": "[5]"},
        {"index": 8, "malformed": '{"compute1": 5}'},
        {"index": 8, "malformed": '[{"Node": "com'},
    ],
)
def test_agent_in_trouble_is_asked_again_from_the_beginning(agent, told, trouble, caplog):
    caplog.set_level("INFO")
    agent.wait_asked(7)

    agent.becomes(**trouble)
    assert clock.wait_until(
        clock.SystemClock(), lambda: "is not available" in caplog.text, PATIENCE_S, 0.01
    )
    agent.becomes(status=200, index=11, critical=[], malformed="")
    agent.wait_asked(11)

    assert told == [SAID]  # what has changed meanwhile
    assert caplog.text.count("Consul's agent on the tenant network is not available") == 1
    assert "is available again" in caplog.text


def test_without_an_agent_it_is_refused():
    with pytest.raises(errors.ConfigInvalid, match="no agent is configured"):
        ConsulWatch.from_conf(configured("consul"), clock.SystemClock(), print)
