"""The push source pacemaker_alerts: what Pacemaker's alert agent says over a Unix socket.

The agent is bin/masakari-pacemaker-alert.  One datagram is one alert, JSON: {kind, node, desc}, all
of them text.  The kernel tells who has sent it: only root, Pacemaker's user and our own are heard.
"""

import contextlib
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
LONGEST = 4096
SHOWN = 100
CREDENTIALS = struct.Struct("iII")
"""struct ucred: pid, uid, gid (unix(7))"""


class PacemakerAlerts:
    """Hears alerts in a thread of its own."""

    def __init__(self, name: str, wake: Wake) -> None:
        """*name* is a path, or that of an abstract socket after @.  Raises ConfigInvalid."""
        self._wake = wake
        self._is_over = False
        self._path = None if name.startswith("@") else pathlib.Path(name)
        self._address = "\0" + name[1:] if self._path is None else name
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._thread = threading.Thread(target=self._hear, name=NAME, daemon=True)
        try:
            self._bind()
        except OSError as e:
            self._socket.close()
            raise ConfigInvalid(
                group=NAME, option="socket", problem=f"{name} cannot be used: {e.strerror or e}"
            ) from None

    @classmethod
    def from_conf(cls, conf: cfg.ConfigOpts, _clock: clock_.Clock, wake: Wake) -> Self:
        """The source that [pacemaker_alerts] describes.  Raises ConfigInvalid."""
        return cls(conf.pacemaker_alerts.socket, wake)

    def start(self) -> None:
        """As pushes.Source."""
        self._thread.start()

    def stop(self) -> None:
        """As pushes.Source."""
        self._is_over = True
        with contextlib.suppress(OSError), _sender() as sender:
            sender.sendto(b"", self._address)
        if self._thread.is_alive():
            self._thread.join(1)
        self._socket.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _bind(self) -> None:
        if self._path is not None and self._path.is_socket():
            with _sender() as sender, contextlib.suppress(ConnectionRefusedError):
                sender.connect(self._address)
                raise OSError("another process listens there")
            self._path.unlink()
        self._socket.bind(self._address)
        if self._path is not None:
            self._path.chmod(0o660)

    def _hear(self) -> None:
        while True:
            try:
                message, ancillary, *_ = self._socket.recvmsg(
                    LONGEST, socket.CMSG_SPACE(CREDENTIALS.size)
                )
            except OSError:  # closed
                return
            if self._is_over:
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
