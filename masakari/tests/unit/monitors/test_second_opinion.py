"""The second opinion: where hosts are asked, and what their answers mean."""

import socket
import threading

import pytest
from oslo_config import cfg

import masakari.conf
from masakari.monitors.hosts import icmp, second_opinion
from masakari.monitors.hosts.addresses import Addresses
from masakari.monitors.hosts.opinions import Opinion, Sign, weigh
from masakari.monitors.hosts.second_opinion import OPTIONS, Network, Tcp

LOCALHOST = ("127.0.0.1", 0)


@pytest.fixture
def listening():
    """(port, socket) of somebody who accepts."""
    with socket.create_server(LOCALHOST) as server:
        yield server.getsockname()[1]


@pytest.fixture
def refusing():
    """A port on which nobody listens."""
    with socket.create_server(LOCALHOST) as server:
        return server.getsockname()[1]


@pytest.fixture
def silent():
    """A port that answers nobody: its backlog is full."""
    with socket.create_server(LOCALHOST, backlog=0) as server:
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(server.getsockname())
        yield server.getsockname()[1]
        for sock in waiting:
            sock.close()


def ask(port, *, refused_is_alive=True, name="127.0.0.1", timeout_s=0.2):
    network = Network(
        Addresses("{host}", [f"compute1={name}:{port}"], 22, OPTIONS),
        Tcp(refused_is_alive=refused_is_alive).knock,
        timeout_s=timeout_s,
        parallel=4,
    )
    return network.ask(["compute1"])["compute1"]


def test_tcp_host_that_accepts_is_alive(listening):
    assert ask(listening) == Opinion(Sign.ALIVE, f"127.0.0.1:{listening} answers")


def test_tcp_host_that_is_silent_is_silent(silent):
    assert ask(silent) == Opinion(Sign.SILENT, f"127.0.0.1:{silent} does not answer within 0.2 s")


@pytest.mark.parametrize(("alive", "sign"), [(True, Sign.ALIVE), (False, Sign.SILENT)])
def test_tcp_host_that_refuses_is_what_is_configured(refusing, alive, sign):
    opinion = ask(refusing, refused_is_alive=alive)

    assert opinion == Opinion(sign, f"127.0.0.1:{refusing} refuses the connection")


def test_tcp_host_without_address_could_not_be_asked():
    opinion = ask(22, name="no-such-host.invalid")

    assert opinion.sign is Sign.UNKNOWN
    assert opinion.detail.startswith("no-such-host.invalid:22 could not be resolved")


@pytest.mark.parametrize(
    ("error", "sign"),
    [
        (OSError(113, "No route to host"), Sign.SILENT),
        (OSError(112, "Host is down"), Sign.SILENT),
        (OSError(101, "Network is unreachable"), Sign.UNKNOWN),
        (OSError(24, "Too many open files"), Sign.UNKNOWN),
        (OSError(13, "Permission denied"), Sign.UNKNOWN),
        (ConnectionRefusedError(111, "Connection refused"), Sign.ALIVE),
    ],
)
def test_tcp_error_means(error, sign):
    assert Tcp(refused_is_alive=True).explain(error).sign is sign


def knocking(signs):
    """A knock that gives each of an address's IP addresses the next of *signs*."""
    left = list(signs)
    return lambda family, where, timeout_s: Opinion(left.pop(0), "")


@pytest.mark.parametrize(
    ("signs", "sign"),
    [
        ([Sign.SILENT, Sign.ALIVE], Sign.ALIVE),
        ([Sign.UNKNOWN, Sign.SILENT], Sign.SILENT),
        ([Sign.SILENT, Sign.UNKNOWN], Sign.SILENT),
        ([Sign.UNKNOWN, Sign.UNKNOWN], Sign.UNKNOWN),
    ],
)
def test_weigh_several_addresses_any_sign_of_life_counts(signs, sign):
    opinions = [Opinion(each, "") for each in signs]

    assert weigh(iter(opinions)).sign is sign


def test_ask_all_hosts_at_a_time():
    hosts = [f"compute{n}" for n in range(8)]
    together = threading.Barrier(len(hosts), timeout=10)

    def knock(_family, _where, _timeout_s):
        together.wait()
        return Opinion(Sign.ALIVE, "answers")

    network = Network(
        Addresses("{host}", [f"{host}=127.0.0.1" for host in hosts], 22, OPTIONS),
        knock,
        timeout_s=1,
        parallel=8,
    )

    assert {opinion.sign for opinion in network.ask(hosts).values()} == {Sign.ALIVE}


def test_ask_never_more_hosts_at_a_time_than_configured():
    hosts = [f"compute{n}" for n in range(20)]
    lock, running, peak = threading.Lock(), [0], [0]

    def knock(_family, _where, _timeout_s):
        with lock:
            running[0] += 1
            peak[0] = max(peak[0], running[0])
        with lock:
            running[0] -= 1
        return Opinion(Sign.ALIVE, "answers")

    network = Network(
        Addresses("{host}", [f"{host}=127.0.0.1" for host in hosts], 22, OPTIONS),
        knock,
        timeout_s=1,
        parallel=3,
    )

    assert network.ask(hosts).keys() == set(hosts)
    assert peak[0] <= 3


@pytest.mark.parametrize("name", ["rack1:compute1", "compute1:22", "fd00::1", "[", "", "a\0b"])
def test_ask_host_whose_name_makes_no_address_asks_the_others(name, caplog):
    network = Network(
        Addresses("{host}", ["compute2=127.0.0.1"], 22, OPTIONS),
        lambda _family, _where, _timeout_s: Opinion(Sign.ALIVE, "answers"),
        timeout_s=1,
        parallel=2,
    )

    answers = [network.ask([name, "compute2"]) for _ in range(3)]

    assert [answer[name].sign for answer in answers] == [Sign.UNKNOWN] * 3
    assert [answer["compute2"].sign for answer in answers] == [Sign.ALIVE] * 3
    assert len([r for r in caplog.records if r.levelname == "WARNING"]) <= 1


def test_ask_host_whose_name_makes_no_address_warns_once(caplog):
    network = Network(Addresses("{host}", [], 22, OPTIONS), knocking([]), timeout_s=1, parallel=2)

    for _ in range(3):
        network.ask(["rack1:compute1"])

    (line,) = [r.getMessage() for r in caplog.records]
    assert line.startswith("rack1:compute1: cannot be asked and is never held for dead, until")


def test_ask_host_with_a_colon_that_is_listed_is_asked():
    network = Network(
        Addresses("{host}", ["rack1:compute1=127.0.0.1"], 22, OPTIONS),
        knocking([Sign.ALIVE]),
        timeout_s=1,
        parallel=2,
    )

    assert network.ask(["rack1:compute1"])["rack1:compute1"].sign is Sign.ALIVE


def test_ask_nobody_asks_nobody():
    network = Network(Addresses("{host}", [], 22, OPTIONS), knocking([]), timeout_s=1, parallel=3)

    assert network.ask([]) == {}


def test_icmp_host_that_answers_is_alive():
    if problem := icmp.problem():
        pytest.skip(problem)
    asker = configured(second_opinion="icmp", second_opinion_addresses=["compute1=127.0.0.1"])

    assert asker.ask(["compute1"]) == {"compute1": Opinion(Sign.ALIVE, "127.0.0.1 answers")}


def configured(**options):
    conf = cfg.ConfigOpts()
    masakari.conf.register_monitors(conf)
    conf([], project="masakarimonitors", default_config_files=[], default_config_dirs=[])
    for name, value in options.items():
        conf.set_override(name, value, "host")
    return second_opinion.connect(conf)


def test_connect_asks_as_configured(refusing):
    listed = [f"compute1=127.0.0.1:{refusing}"]

    safe = configured(second_opinion_addresses=listed)
    lab = configured(second_opinion_addresses=listed, second_opinion_refused="dead")

    assert safe.ask(["compute1"])["compute1"].sign is Sign.ALIVE
    assert lab.ask(["compute1"])["compute1"].sign is Sign.SILENT
