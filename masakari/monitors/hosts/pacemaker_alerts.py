"""The push source pacemaker_alerts: what Pacemaker's alert agent says over a Unix socket.

The agent is bin/masakari-pacemaker-alert.  One datagram is one alert, JSON: {kind, node, desc}, all
of them text.  The kernel tells who has sent it: only root, Pacemaker's user and our own are heard.
"""

import contextlib
import errno
import json
import logging
import os
import pathlib
import pwd
import socket
import struct
import threading
from typing import Self

from oslo_config import cfg

from masakari import clock as clock_
from masakari.errors import ConfigInvalid
from masakari.monitors.pushes import Wake

LOG = logging.getLogger(__name__)

NAME = "pacemaker_alerts"
USER = "hacluster"
"""As whom Pacemaker runs its alert agents."""
RETRY_S = 30.0
"""So long after it could not be used the socket is tried again."""
LONGEST = 4096
SHOWN = 100
CREDENTIALS = struct.Struct("iII")
"""struct ucred: pid, uid, gid (unix(7))"""


class PacemakerAlerts:
    """Hears alerts in a thread of its own.

    While another process has the socket, no alert is heard: that is a warning, and tried again.
    """

    def __init__(
        self, name: str, clock: clock_.Clock, wake: Wake, retry_s: float = RETRY_S
    ) -> None:
        """*name* is a path, or that of an abstract socket after @.  Raises ConfigInvalid."""
        self._name = name
        self._wake = wake
        self._retry_s = retry_s
        self._over = clock.event()
        self._is_deaf = False
        self._path = None if name.startswith("@") else pathlib.Path(name)
        self._address = "\0" + name[1:] if self._path is None else name
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name=NAME, daemon=True)
        try:
            self._socket = self._open()
        except OSError as e:
            if e.errno != errno.EADDRINUSE:
                raise ConfigInvalid(
                    group=NAME, option="socket", problem=f"{name} cannot be used: {e.strerror or e}"
                ) from None
            self._warn(e)

    @classmethod
    def from_conf(cls, conf: cfg.ConfigOpts, clock: clock_.Clock, wake: Wake) -> Self:
        """The source that [pacemaker_alerts] describes.  Raises ConfigInvalid."""
        return cls(conf.pacemaker_alerts.socket, clock, wake)

    def start(self) -> None:
        """As pushes.Source."""
        self._thread.start()

    def stop(self) -> None:
        """As pushes.Source."""
        self._over.set()
        if self._socket is not None:
            with contextlib.suppress(OSError), _sender() as sender:
                sender.sendto(b"", self._address)
        if self._thread.is_alive():
            self._thread.join(1)
        self._close()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                if self._socket is None:
                    self._socket = self._open()
                self._hear(self._socket)
            except OSError as e:
                if self._over.is_set():
                    return
                self._close()
                self._warn(e)
                self._over.wait(self._retry_s)

    def _open(self) -> socket.socket:
        """A socket on which alerts arrive.  Raises OSError."""
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            self._bind(made)
        except OSError:
            made.close()
            raise
        if self._is_deaf:
            self._is_deaf = False
            LOG.info("alerts of Pacemaker are heard again")
        return made

    def _bind(self, made: socket.socket) -> None:
        if self._path is not None and self._path.is_socket():
            with _sender() as sender, contextlib.suppress(ConnectionRefusedError):
                sender.connect(self._address)
                raise OSError(errno.EADDRINUSE, "another process listens there")
            self._path.unlink()
        elif self._path is not None and self._path.exists():
            raise OSError(errno.EEXIST, "it is no socket")
        made.bind(self._address)
        if self._path is not None:
            self._path.chmod(0o660)

    def _close(self) -> None:
        if self._socket is None:
            return
        if self._path is not None:
            self._path.unlink(missing_ok=True)  # first: it is nobody else's before the next line
        self._socket.close()
        self._socket = None

    def _warn(self, error: OSError) -> None:
        if not self._is_deaf:
            self._is_deaf = True
            LOG.warning(
                "alerts of Pacemaker are not heard, hosts are looked at as without them: %s cannot "
                "be used: %s; it is tried again each %g s",
                self._name,
                error.strerror or error,
                self._retry_s,
            )

    def _hear(self, bound: socket.socket) -> None:
        """Tell of alerts until the end.  Raises OSError."""
        while not self._over.is_set():
            message, ancillary, *_ = bound.recvmsg(LONGEST, socket.CMSG_SPACE(CREDENTIALS.size))
            if self._over.is_set():
                return
            uid = _sent_by(ancillary)
            if _may_tell(uid):
                self._wake(NAME, f"Pacemaker says {sentence(message)}")
            else:
                LOG.debug("an alert of user %s is not heard", uid)


def sentence(message: bytes) -> str:
    """What the alert says, for the log."""
    try:
        alert = json.loads(message)
        kind, node, desc = (str(alert.get(key, "")) for key in ("kind", "node", "desc"))
    except (ValueError, AttributeError):
        return "something that is no alert"
    said = " ".join(f"{kind} {node}: {desc}".split())[:SHOWN]
    return "".join(character if character.isprintable() else "?" for character in said)


def _sender() -> socket.socket:
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sender.setblocking(False)
    return sender


def _sent_by(ancillary: list[tuple[int, int, bytes]]) -> int | None:
    """The user who has sent a message, as the kernel has it."""
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
            _pid, uid, _gid = CREDENTIALS.unpack(content[: CREDENTIALS.size])
            return int(uid)
    return None


def _may_tell(uid: int | None) -> bool:
    if uid in (0, os.geteuid()):
        return True
    try:
        return uid == pwd.getpwnam(USER).pw_uid
    except KeyError:
        return False
