"""Echo requests to many hosts at once."""

import errno
import socket
import time

import pytest

from masakari.monitors.hosts import icmp
from masakari.monitors.hosts.opinions import Opinion, Sign

TOKEN = b"01234567"


def target(address):
    return socket.AF_INET, (address, 0)


@pytest.fixture
def permitted():
    if problem := icmp.problem():
        pytest.skip(problem)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"", 0xFFFF),
        (b"\x00\x01\xf2\x03\xf4\xf5\xf6\xf7", 0x220D),  # RFC 1071, section 3
        (b"\x01", 0xFEFF),
    ],
)
def test_checksum(message, expected):
    assert icmp.checksum(message) == expected


def test_request_has_a_right_checksum():
    assert icmp.checksum(icmp.request(socket.AF_INET, 70000, TOKEN + b"\0" * 8)) == 0


def echo(kind, token, number=5):
    """An ICMP message without its IP header."""
    return bytes([kind, 0, 0, 0, 0, 1, 0, 1]) + token + number.to_bytes(8)


@pytest.mark.parametrize(
    ("family", "packet", "number"),
    [
        (socket.AF_INET, echo(0, TOKEN), 5),
        (socket.AF_INET6, echo(129, TOKEN), 5),
        (socket.AF_INET, echo(0, TOKEN[::-1]), None),
        (socket.AF_INET, echo(8, TOKEN), None),
        (socket.AF_INET, echo(3, TOKEN), None),
        (socket.AF_INET6, echo(0, TOKEN), None),
        (socket.AF_INET, echo(0, TOKEN)[:20], None),
        (socket.AF_INET, b"", None),
    ],
    ids=["ours", "ours, v6", "another's", "our request", "no way", "v4 in v6", "half", "empty"],
)
def test_reply_is_told_by_its_token(family, packet, number):
    assert icmp.reply_to(family, packet, TOKEN) == number


def test_ask_many_hosts_all_answer(permitted):
    targets = [target(f"127.1.{n // 250}.{n % 250 + 1}") for n in range(1000)]

    found = icmp.ask(targets, timeout_s=5, echoes=5)

    assert found == dict.fromkeys(targets, Opinion(Sign.ALIVE, "answers"))


def patched(monkeypatch, sendto):
    """The sockets send in that way."""

    class Patched(socket.socket):
        def sendto(self, packet, where):
            return sendto(super().sendto, packet, where)

    opened = icmp.open_socket
    monkeypatch.setattr(icmp, "open_socket", lambda family: Patched(fileno=opened(family).detach()))


def test_ask_host_that_is_silent_is_told_from_those_that_answer(permitted, monkeypatch):
    def lose(send, packet, where):
        return len(packet) if where[0] == "127.0.0.9" else send(packet, where)

    patched(monkeypatch, lose)

    found = icmp.ask([target("127.0.0.1"), target("127.0.0.9")], timeout_s=0.1, echoes=2)

    assert found[target("127.0.0.1")].sign is Sign.ALIVE
    assert found[target("127.0.0.9")] == Opinion(
        Sign.SILENT, "does not answer 2 echo requests within 0.1 s"
    )


def test_ask_one_request_that_is_lost_is_no_sign(permitted, monkeypatch):
    sent = []

    def lose_first(send, packet, where):
        sent.append(packet)
        return len(packet) if len(sent) == 1 else send(packet, where)

    patched(monkeypatch, lose_first)

    assert icmp.ask([target("127.0.0.1")], timeout_s=0.1, echoes=2) == {
        target("127.0.0.1"): Opinion(Sign.ALIVE, "answers")
    }


def test_ask_ends_when_all_have_answered(permitted):
    began = time.monotonic()

    icmp.ask([target("127.0.0.1")], timeout_s=60, echoes=2)

    assert time.monotonic() - began < 20


def test_ask_one_at_two_names_is_one_answer(permitted):
    assert len(icmp.ask([target("127.0.0.1")] * 2, timeout_s=5, echoes=5)) == 1


@pytest.mark.parametrize(
    ("code", "sign"),
    [
        (errno.EHOSTUNREACH, Sign.SILENT),
        (errno.ENETUNREACH, Sign.UNKNOWN),
        (errno.EPERM, Sign.UNKNOWN),
        (errno.ENOBUFS, Sign.UNKNOWN),
    ],
)
def test_request_that_cannot_be_sent_means(permitted, monkeypatch, code, sign):
    def refuse(*_args):
        raise OSError(code, "no")

    patched(monkeypatch, refuse)

    found = icmp.ask([target("127.0.0.1")], timeout_s=0.02, echoes=2)

    assert found[target("127.0.0.1")] == Opinion(sign, "cannot be reached (no)")


def test_family_that_the_kernel_has_not_is_unknown(monkeypatch):
    def no_family(_family):
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(icmp, "open_socket", no_family)

    found = icmp.ask([target("127.0.0.1")], timeout_s=0.02, echoes=2)

    assert found[target("127.0.0.1")].sign is Sign.UNKNOWN
