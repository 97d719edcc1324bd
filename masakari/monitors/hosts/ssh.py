"""The driver ssh: hosts as their SSH servers answer.

In each look every host has to send its SSH banner, which a host that hangs does not; some of them,
in turn, have to let us log in as well, which costs a hundred times as much CPU time.  Those whose
last login failed are tried first.

A monitor that is itself late accuses nobody: the event loop is watched, and who timed out while it
stood still is unknown.
"""

import asyncio
import contextlib
import pathlib
import socket
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import asyncssh
from oslo_config import cfg

from masakari import clock as clock_
from masakari import errors
from masakari.monitors import watchlist
from masakari.monitors.hosts import addresses as addresses_
from masakari.monitors.hosts import polling
from masakari.monitors.hosts.addresses import Address, Addresses, Resolver, Target
from masakari.monitors.hosts.opinions import REFUSAL, SILENCE
from masakari.monitors.hosts.polling import Reading
from masakari.monitors.judge import SIGNS_OF_LIFE, State

OPTIONS = addresses_.Options("ssh", "address", "addresses")
TICK_S = 0.1
LATE_S = 0.5
"""An event loop that stood still for so long explains that hosts timed out."""
AT_MOST = 500
"""Hosts asked at a time where many do not answer; a process has commonly 1,024 descriptors."""
NOWHERE = Reading(State.UNKNOWN, "its name makes no address to ask")


@dataclass(frozen=True, slots=True)
class Login:
    """How we log in."""

    user: str
    key: asyncssh.SSHKey
    known_hosts: str | None
    """A file; None: whatever key a host shows is taken."""
    per_look: int
    """Hosts in one look."""


class SshPoller:
    """Asks the SSH servers of hosts, as many at a time as `polling.Places`; for one thread."""

    suspicion = polling.OBSERVER

    def __init__(
        self,
        addresses: Addresses,
        login: Login | None,
        clock: clock_.Clock,
        *,
        timeout_s: float,
        parallel: int,
        hung: State = State.DOUBTFUL,
    ) -> None:
        """*hung* is a host whose kernel accepts connections that nobody serves."""
        self._addresses = addresses
        self._login = login
        self._clock = clock
        self._timeout_s = timeout_s
        self._parallel = parallel
        self._hung = hung
        self._resolver = Resolver()
        self._queue: list[str] = []
        """In this order hosts are logged in to; who was tried last is at the end."""
        self._refused: set[str] = set()
        """Hosts whose last login failed."""
        self._is_others_turn = False
        """The only login in a look is not for a host whose last one failed."""
        self._lag_s = 0.0

    @staticmethod
    def from_conf(
        conf: cfg.ConfigOpts,
        hosts: watchlist.Watchlist,
        clock: clock_.Clock,
        **_given: Any,  # what other drivers are given
    ) -> polling.PolledProbe:
        """The probe that [ssh] describes.  Raises ConfigInvalid."""
        ssh = conf.ssh
        poller = SshPoller(
            Addresses(ssh.address, ssh.addresses, ssh.port, OPTIONS),
            _login(conf) if ssh.logins_per_look else None,
            clock,
            timeout_s=ssh.timeout,
            parallel=ssh.parallel,
            hung=State(ssh.hung),
        )
        return polling.PolledProbe(poller, hosts, clock)

    def poll(self, hosts: Collection[str]) -> polling.Readings:
        """A reading of each of *hosts*."""
        where = {host: self._addresses.find(host) for host in hosts}
        found = self._resolver.resolve([address for address in where.values() if address])
        logins = self._turn(hosts)
        return {"": asyncio.run(self._poll(where, found, logins))}

    def _turn(self, hosts: Collection[str]) -> frozenset[str]:
        """Hosts to be logged in to in this look: whose login failed last, then the next in turn.

        The former are half of them at most, in turn, too: some may never let us in.
        """
        if self._login is None:
            return frozenset()
        here = set(hosts)
        self._refused &= here
        self._queue = [host for host in self._queue if host in here]
        self._queue += sorted(here - set(self._queue))
        most = min(self._login.per_look, len(self._queue))
        refused = [host for host in self._queue if host in self._refused]
        others = [host for host in self._queue if host not in self._refused]
        half = most // 2
        if most == 1 and refused:
            half = 0 if self._is_others_turn else 1
            self._is_others_turn = not self._is_others_turn
        turn = [*refused[:half], *others, *refused[half:]][:most]
        self._queue = [host for host in self._queue if host not in turn] + turn
        return frozenset(turn)

    async def _poll(
        self,
        where: Mapping[str, Address | None],
        found: Mapping[Address, list[Target] | str],
        logins: frozenset[str],
    ) -> Mapping[str, Reading]:
        free = asyncio.Semaphore(self._parallel)
        places = polling.Places(free, self._parallel, AT_MOST)
        known = None
        if logins and self._login and self._login.known_hosts:
            known = _known_hosts(self._login.known_hosts)
        self._lag_s = 0.0
        watch = asyncio.create_task(self._watch_lag())

        async def one(host: str, address: Address | None) -> Reading:
            if address is None:
                return NOWHERE
            targets = found[address]
            if isinstance(targets, str):
                return Reading(State.UNKNOWN, targets)
            async with free:
                reading = await self._ask_all(
                    host, address, targets, self._login if host in logins else None, known
                )
            places.note(reading)
            return reading

        readings = await asyncio.gather(*(one(host, address) for host, address in where.items()))
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch
        return {host: self._admit(reading) for host, reading in zip(where, readings, strict=True)}

    async def _watch_lag(self) -> None:
        """The longest time for which this thread did not get on is noted."""
        while True:
            began = self._clock.monotonic()
            try:
                await asyncio.sleep(TICK_S)
            finally:
                self._lag_s = max(self._lag_s, self._clock.monotonic() - began - TICK_S)

    def _admit(self, reading: Reading) -> Reading:
        """The reading, as far as a monitor that was late may give it."""
        if self._lag_s < LATE_S or reading.state in SIGNS_OF_LIFE:
            return reading
        late = f"this monitor itself stood still for {self._lag_s:.1f} s"
        return Reading(State.UNKNOWN, f"{late}; {reading.detail}")

    async def _ask_all(
        self, host: str, address: Address, targets: list[Target], login: Login | None, known: Any
    ) -> Reading:
        """Ask one host on each of its IP addresses; any sign of life counts."""
        last = Reading(State.UNKNOWN, "has no address")
        waited = False
        for target in targets:
            reading = await self._ask(host, address, target, login, known)
            waited |= reading.waited
            if last.state is State.UNKNOWN or reading.state in SIGNS_OF_LIFE:
                last = reading
            if last.state in SIGNS_OF_LIFE:
                break
        return Reading(last.state, f"{address} {last.detail}", waited=waited)

    async def _ask(
        self, host: str, address: Address, target: Target, login: Login | None, known: Any
    ) -> Reading:
        family, where = target
        is_connected = False
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.setblocking(False)
            try:
                async with asyncio.timeout(self._timeout_s):
                    await asyncio.get_running_loop().sock_connect(sock, where)
                    is_connected = True
                    if login:
                        return await self._try_login(login, host, address, sock, known)
                    return await _read_banner(sock)
            except TimeoutError:
                within = f"within {self._timeout_s:g} s"
                if is_connected:
                    detail = f"accepts the connection and says nothing: it hangs ({within})"
                    return Reading(self._hung, detail, waited=True)
                return Reading(State.OFFLINE, f"does not answer {within}", waited=True)
            except OSError as error:
                return explain(error)

    async def _try_login(
        self, login: Login, host: str, address: Address, sock: socket.socket, known: Any
    ) -> Reading:
        self._refused.add(host)
        try:
            connection = await asyncssh.connect(
                address.name,
                address.port,
                sock=sock.dup(),
                username=login.user,
                client_keys=[login.key],
                known_hosts=known,
                agent_path=None,
                config=None,
                compression_algs=None,
            )
        except asyncssh.PermissionDenied:
            return Reading(State.ONLINE, f"answers, but refuses the login as {login.user}")
        except asyncssh.HostKeyNotVerifiable as error:
            return Reading(State.UNKNOWN, f"shows a host key that is not known ({error.reason})")
        except asyncssh.Error as error:
            return Reading(State.DOUBTFUL, f"answers, but breaks the login off ({error.reason})")
        connection.close()
        await connection.wait_closed()
        self._refused.discard(host)
        return Reading(State.ONLINE, "lets us log in")


async def _read_banner(sock: socket.socket) -> Reading:
    """What the server says first (RFC 4253, section 4.2)."""
    said = await asyncio.get_running_loop().sock_recv(sock, 255)
    if said.startswith(b"SSH-"):
        return Reading(State.ONLINE, "answers")
    detail = "does not speak SSH" if said else "closes the connection at once"
    return Reading(State.DOUBTFUL, detail)


def explain(error: OSError) -> Reading:
    """What it means that the connection failed so."""
    if error.errno in REFUSAL:
        return Reading(State.DOUBTFUL, "refuses the connection: it lives, but no sshd")
    state = State.OFFLINE if error.errno in SILENCE else State.UNKNOWN
    return Reading(state, f"cannot be reached ({error.strerror or error})")


def _known_hosts(path: str) -> asyncssh.SSHKnownHosts:
    """The host keys as the file has them now.  One that cannot be read has none."""
    try:
        return asyncssh.read_known_hosts(path)
    except (OSError, ValueError):
        return asyncssh.import_known_hosts("")


def _login(conf: cfg.ConfigOpts) -> Login:
    """How [ssh] says that we log in.  Raises ConfigInvalid."""
    known = conf.ssh.known_hosts_file if conf.ssh.verify_host_keys else None
    if known is not None:
        try:
            asyncssh.read_known_hosts(known)
        except (OSError, ValueError) as error:
            raise OPTIONS.invalid("known_hosts_file", _problem(known, error)) from error
    return Login(conf.ssh.user, _read_key(conf.ssh.key_file), known, conf.ssh.logins_per_look)


def _read_key(path: str | None) -> asyncssh.SSHKey:
    if not path:
        raise OPTIONS.invalid("key_file", "it is needed unless logins_per_look is 0")
    try:
        if pathlib.Path(path).stat().st_mode & (stat.S_IRWXO | stat.S_IWGRP):
            raise OPTIONS.invalid("key_file", f"{path} is open to others: chmod 600 or 640 it")
        return asyncssh.read_private_key(path)
    except errors.ConfigInvalid:
        raise
    except (OSError, ValueError) as error:
        raise OPTIONS.invalid("key_file", _problem(path, error)) from None


def _problem(path: str, error: Exception) -> str:
    """Why the file cannot be used, without what is in it."""
    why = error.strerror if isinstance(error, OSError) else f"is not usable ({error})"
    return f"{path}: {why}"
