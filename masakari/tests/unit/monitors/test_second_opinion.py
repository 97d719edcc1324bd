"""The second opinion: where hosts are asked, and what their answers mean."""

import socket
import threading
import time

import pytest
from oslo_config import cfg

import masakari.conf
from masakari import errors
from masakari.monitors.hosts import second_opinion
from masakari.monitors.hosts.second_opinion import Addresses, Network, Opinion, Sign, Tcp

LOCALHOST = ("127.0.0.1", 0)


@pytest.mark.parametrize(
    ("pattern", "listed", "host", "address"),
    [
        ("{host}", [], "compute1", "compute1:22"),
        ("{host}.mgmt.example.com", [], "compute1", "compute1.mgmt.example.com:22"),
        ("ipmi-{host}:2222", [], "compute1", "ipmi-compute1:2222"),
        ("{host}", ["compute1=10.0.0.1"], "compute1", "10.0.0.1:22"),
        ("{host}", ["compute1=10.0.0.1:2222"], "compute1", "10.0.0.1:2222"),
        ("{host}", [" compute1 = fd00::1 "], "compute1", "[fd00::1]:22"),
        ("{host}", ["compute1=[fd00::1]:80"], "compute1", "[fd00::1]:80"),
        ("{host}", ["compute1=[fd00::1]"], "compute1", "[fd00::1]:22"),
        ("{host}", ["compute2=10.0.0.2"], "compute1", "compute1:22"),
    ],
)
def test_address_is_listed_or_follows_the_pattern(pattern, listed, host, address):
    assert str(Addresses(pattern, listed, 22).of(host)) == address


@pytest.mark.parametrize(
    ("pattern", "listed", "option"),
    [
        ("compute", [], "second_opinion_address"),
        ("{host}.{domain}", [], "second_opinion_address"),
        ("{host}:ssh", [], "second_opinion_address"),
        ("{host}", ["compute1"], "second_opinion_addresses"),
        ("{host}", ["=10.0.0.1"], "second_opinion_addresses"),
        ("{host}", ["compute1="], "second_opinion_addresses"),
        ("{host}", ["compute1=10.0.0.1:99999"], "second_opinion_addresses"),
        ("{host}", ["compute1=[fd00::1"], "second_opinion_addresses"),
        ("{host}", ["compute1=[fd00::1]80"], "second_opinion_addresses"),
    ],
)
def test_address_that_is_none_names_the_option(pattern, listed, option):
    with pytest.raises(errors.ConfigInvalid, match=rf"^\[host\] {option}: "):
        Addresses(pattern, listed, 22)


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
        Addresses("{host}", [f"compute1={name}:{port}"], 22),
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

    assert second_opinion.weigh(iter(opinions)).sign is sign


def test_ask_all_hosts_at_a_time():
    hosts = [f"compute{n}" for n in range(8)]
    together = threading.Barrier(len(hosts), timeout=10)

    def knock(_family, _where, _timeout_s):
        together.wait()
        return Opinion(Sign.ALIVE, "answers")

    network = Network(
        Addresses("{host}", [f"{host}=127.0.0.1" for host in hosts], 22),
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
        Addresses("{host}", [f"{host}=127.0.0.1" for host in hosts], 22),
        knock,
        timeout_s=1,
        parallel=3,
    )

    assert network.ask(hosts).keys() == set(hosts)
    assert peak[0] <= 3


@pytest.mark.parametrize("name", ["rack1:compute1", "compute1:22", "fd00::1", "[", "", "a\0b"])
def test_ask_host_whose_name_makes_no_address_asks_the_others(name, caplog):
    network = Network(
        Addresses("{host}", ["compute2=127.0.0.1"], 22),
        lambda _family, _where, _timeout_s: Opinion(Sign.ALIVE, "answers"),
        timeout_s=1,
        parallel=2,
    )

    answers = [network.ask([name, "compute2"]) for _ in range(3)]

    assert [answer[name].sign for answer in answers] == [Sign.UNKNOWN] * 3
    assert [answer["compute2"].sign for answer in answers] == [Sign.ALIVE] * 3
    assert len([r for r in caplog.records if r.levelname == "WARNING"]) <= 1


def test_ask_host_whose_name_makes_no_address_warns_once(caplog):
    network = Network(Addresses("{host}", [], 22), knocking([]), timeout_s=1, parallel=2)

    for _ in range(3):
        network.ask(["rack1:compute1"])

    (line,) = [r.getMessage() for r in caplog.records]
    assert line.startswith("rack1:compute1: cannot be asked and is never held for dead, until")


def test_ask_host_with_a_colon_that_is_listed_is_asked():
    network = Network(
        Addresses("{host}", ["rack1:compute1=127.0.0.1"], 22),
        knocking([Sign.ALIVE]),
        timeout_s=1,
        parallel=2,
    )

    assert network.ask(["rack1:compute1"])["rack1:compute1"].sign is Sign.ALIVE


def test_ask_nobody_asks_nobody():
    network = Network(Addresses("{host}", [], 22), knocking([]), timeout_s=1, parallel=3)

    assert network.ask([]) == {}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"", 0xFFFF),
        (b"\x00\x01\xf2\x03\xf4\xf5\xf6\xf7", 0x220D),  # RFC 1071, section 3
        (b"\x01", 0xFEFF),
    ],
)
def test_checksum(message, expected):
    assert second_opinion.checksum(message) == expected


def needs_icmp():
    try:
        second_opinion.check_icmp()
    except errors.ConfigInvalid as error:
        pytest.skip(str(error))


def test_ping_host_that_answers_is_alive():
    needs_icmp()

    opinion = second_opinion.ping(socket.AF_INET, ("127.0.0.1", 0), 2)

    assert opinion == Opinion(Sign.ALIVE, "answers")


TOKEN = b"0123456789abcdef"


def echo(kind, token):
    """An ICMP message without its IP header."""
    return bytes([kind, 0, 0, 0, 0, 1, 0, 1]) + token


@pytest.mark.parametrize(
    ("packets", "came"),
    [
        ([echo(0, TOKEN)], True),
        ([echo(0, TOKEN[::-1]), echo(8, TOKEN), b"", echo(0, TOKEN)], True),
        ([echo(0, TOKEN[::-1])], False),
        ([echo(8, TOKEN)], False),
        ([echo(3, TOKEN)], False),
        ([], False),
    ],
    ids=["ours", "ours among others", "another's", "our request", "no way", "silence"],
)
def test_reply_came_only_with_our_token(packets, came):
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with here, there:
        for packet in packets:
            there.send(packet)

        until = time.monotonic() + (10 if came else 0.05)
        assert second_opinion.reply_came(here, socket.AF_INET, TOKEN, until) is came


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
