"""Ask many hosts at once whether they are alive, by ICMP echo requests (RFC 792, RFC 4443).

One socket for each address family, no thread.  Each attempt gets its full time after the last
request has left, so a monitor that was itself stopped for a while accuses nobody: what arrived
meanwhile is read first, and who is still missing is asked again.
"""

import errno
import os
import selectors
import socket
import struct
import time
from collections.abc import Collection, Iterator, Mapping

from masakari.monitors.hosts.addresses import Target
from masakari.monitors.hosts.opinions import SILENCE, Opinion, Sign

BURST = 64
"""Requests sent before replies are read: the kernel keeps some 250 for us."""
PAUSE_S = 0.002
"""Between two bursts."""
RECEIVE_BUFFER = 1 << 20
TRANSIENT = frozenset({errno.ENOBUFS, errno.EAGAIN, errno.EINTR})
"""Our own queue is full: the next attempt may do."""

_ECHO = {
    socket.AF_INET: (socket.IPPROTO_ICMP, 8, 0),
    socket.AF_INET6: (socket.IPPROTO_ICMPV6, 128, 129),
}
"""Protocol, type of the request, type of the reply."""


def open_socket(family: socket.AddressFamily) -> socket.socket:
    """A socket for echo requests: without privileges if the kernel allows it.  Raises OSError."""
    protocol = _ECHO[family][0]
    try:
        sock = socket.socket(family, socket.SOCK_DGRAM, protocol)
    except PermissionError:
        sock = socket.socket(family, socket.SOCK_RAW, protocol)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    return sock


def problem() -> str | None:
    """Why no echo request can be sent from here, or None."""
    try:
        open_socket(socket.AF_INET).close()
    except OSError as error:
        return (
            f"icmp is not permitted here ({error.strerror}): it needs the group in "
            "net.ipv4.ping_group_range, or CAP_NET_RAW"
        )
    return None


def ask(targets: Collection[Target], timeout_s: float, echoes: int) -> Mapping[Target, Opinion]:
    """What each of *targets* answers to at most *echoes* requests within *timeout_s* seconds."""
    with Round(targets) as asked:
        for _ in range(echoes):
            if not asked.send():
                break
            asked.listen(timeout_s / echoes)
        return asked.opinions(f"does not answer {echoes} echo requests within {timeout_s:g} s")


class Round:
    """The targets of one round and who has answered so far."""

    def __init__(self, targets: Collection[Target]) -> None:
        """Open what is needed to ask *targets*."""
        self._round = os.urandom(8)
        self._targets = list(dict.fromkeys(targets))
        self._alive: set[int] = set()
        self._problems: dict[int, OSError] = {}
        self._sent: set[int] = set()
        self._sequence = 0
        self._sockets: dict[socket.AddressFamily, socket.socket | OSError] = {}
        self._selector = selectors.DefaultSelector()
        for family in {family for family, _ in self._targets}:
            try:
                sock = open_socket(family)
            except OSError as error:
                self._sockets[family] = error
            else:
                self._sockets[family] = sock
                self._selector.register(sock, selectors.EVENT_READ, family)

    def __enter__(self) -> "Round":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Its sockets are closed."""
        self._selector.close()
        for sock in self._sockets.values():
            if isinstance(sock, socket.socket):
                sock.close()

    def send(self) -> bool:
        """Everybody who has not answered was asked once more; False: there is nobody."""
        waiting = [n for n in range(len(self._targets)) if n not in self._alive]
        self._sequence += 1
        for first in range(0, len(waiting), BURST):
            for number in waiting[first : first + BURST]:
                self._send(number)
            self.listen(PAUSE_S)
        return bool(waiting)

    def _send(self, number: int) -> None:
        family, where = self._targets[number]
        sock = self._sockets[family]
        if isinstance(sock, OSError):
            self._problems[number] = sock
            return
        token = self._round + number.to_bytes(8)
        try:
            sock.sendto(request(family, self._sequence, token), (where[0], 0, *where[2:]))
        except OSError as error:
            if error.errno not in TRANSIENT or number not in self._sent:
                self._problems[number] = error
        else:
            self._sent.add(number)
            self._problems.pop(number, None)

    def listen(self, seconds: float) -> None:
        """Replies are taken in until all have answered or *seconds* have passed."""
        # The network's time is the machine's, whatever the Clock says.
        until = time.monotonic() + seconds
        while len(self._alive) < len(self._targets):
            left = until - time.monotonic()
            if not self._selector.get_map():  # nothing could be sent
                return
            ready = self._selector.select(max(0.0, left))
            for key, _ in ready:
                for packet in _packets(key.fileobj):  # type: ignore[arg-type]
                    self._take(key.data, packet)
            if left <= 0 and not ready:
                return

    def _take(self, family: socket.AddressFamily, packet: bytes) -> None:
        number = reply_to(family, packet, self._round)
        if number is not None and number < len(self._targets):
            self._alive.add(number)

    def opinions(self, silence: str) -> Mapping[Target, Opinion]:
        """What each target has shown; those that did not answer: *silence*."""
        return {
            target: self._opinion(number, silence) for number, target in enumerate(self._targets)
        }

    def _opinion(self, number: int, silence: str) -> Opinion:
        if number in self._alive:
            return Opinion(Sign.ALIVE, "answers")
        error = self._problems.get(number)
        if error is None:
            return Opinion(Sign.SILENT, silence)
        sign = Sign.SILENT if error.errno in SILENCE else Sign.UNKNOWN
        return Opinion(sign, f"cannot be reached ({error.strerror or error})")


def _packets(sock: socket.socket) -> Iterator[bytes]:
    """The ICMP messages that have arrived."""
    is_raw = sock.family == socket.AF_INET and sock.type == socket.SOCK_RAW
    while True:
        try:
            packet = sock.recv(2048)
        except OSError:  # no more, or an error that another packet has caused
            return
        # raw IPv4 sockets give the IP header too
        yield packet[(packet[0] & 0x0F) * 4 :] if is_raw and packet else packet


def request(family: socket.AddressFamily, sequence: int, token: bytes) -> bytes:
    """An echo request; for IPv6 and on datagram sockets the kernel does the checksum itself."""
    kind = _ECHO[family][1]
    identifier = os.getpid() & 0xFFFF
    blank = struct.pack("!BBHHH", kind, 0, 0, identifier, sequence & 0xFFFF) + token
    return blank[:2] + struct.pack("!H", checksum(blank)) + blank[4:]


def reply_to(family: socket.AddressFamily, packet: bytes, token: bytes) -> int | None:
    """The number that followed *token* in the request, if the packet replies to one of ours."""
    if len(packet) < 24 or packet[0] != _ECHO[family][2] or packet[8:16] != token:
        return None
    return int.from_bytes(packet[16:24])


def checksum(message: bytes) -> int:
    """The Internet checksum (RFC 1071) of a message."""
    padded = message + b"\0" * (len(message) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
