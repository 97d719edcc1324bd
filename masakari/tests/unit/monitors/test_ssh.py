"""The driver ssh, in front of servers that behave as a test wants."""

import asyncio
import socket
import threading

import asyncssh
import pytest

from masakari import errors
from masakari.clock import SystemClock
from masakari.monitors.hosts import ssh
from masakari.monitors.hosts.addresses import Address, Addresses
from masakari.monitors.hosts.ssh import OPTIONS, Login, SshPoller
from masakari.monitors.judge import SIGNS_OF_LIFE, State
from masakari.sim.clock import SimClock
from masakari.tests.unit.monitors.drivers import Watched, configured, private


@pytest.fixture(scope="module")
def key():
    return asyncssh.generate_private_key("ssh-ed25519")


@pytest.fixture
def serving():
    """A maker of servers that say something to each who connects; its port."""
    made = []

    def serve(says):
        server = socket.create_server(("127.0.0.1", 0))
        made.append(server)

        def run():
            kept = []
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                if says is None:
                    kept.append(connection)
                else:
                    connection.sendall(says)
                    connection.close()

        threading.Thread(target=run, daemon=True).start()
        return server.getsockname()[1]

    yield serve
    for server in made:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


@pytest.fixture(scope="module")
def sshd(key):
    """(port, host key) of a server that lets *key* in."""
    started: list = []
    is_up = threading.Event()
    host_key = asyncssh.generate_private_key("ssh-ed25519")

    class Server(asyncssh.SSHServer):
        def begin_auth(self, _user):
            return True

        def public_key_auth_supported(self):
            return True

        def validate_public_key(self, user, offered):
            return user == "masakari" and offered == key.convert_to_public()

    async def run():
        stop = asyncio.Event()
        server = await asyncssh.listen(
            "127.0.0.1", 0, server_factory=Server, server_host_keys=[host_key]
        )
        started.extend([asyncio.get_running_loop(), stop, server.get_port()])
        is_up.set()
        await stop.wait()
        server.close()
        await server.wait_closed()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    is_up.wait()
    loop, stop, port = started
    yield port, host_key
    loop.call_soon_threadsafe(stop.set)
    thread.join()


def poller(ports, login=None, timeout_s=0.3, clock=None, **options):
    listed = [f"{host}=127.0.0.1:{port}" for host, port in ports.items()]
    addresses = Addresses("{host}.invalid", listed, 22, OPTIONS)
    options = {"timeout_s": timeout_s, "parallel": 8, **options}
    return SshPoller(addresses, login, clock or SystemClock(), **options)


def poll(port, login=None, **options):
    made = poller({"compute1": port}, login, **options)
    return made.poll(["compute1"])[""]["compute1"]


@pytest.mark.parametrize(
    ("says", "state", "detail"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", State.ONLINE, "answers"),
        (b"HTTP/1.1 400\r\n", State.DOUBTFUL, "does not speak SSH"),
        (b"", State.DOUBTFUL, "closes the connection at once"),
        (None, State.DOUBTFUL, "accepts the connection and says nothing: it hangs (within 0.3 s)"),
    ],
    ids=["ssh", "http", "closes", "hangs"],
)
def test_banner_means(serving, says, state, detail):
    port = serving(says)

    reading = poll(port)

    assert (reading.state, reading.detail) == (state, f"127.0.0.1:{port} {detail}")


def test_host_that_does_not_answer_makes_room_for_two_more():
    """One at a time is asked, and three will not answer but to three at a time."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer_three():
            for connection in [server.accept()[0] for _ in range(3)]:
                with connection:
                    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        thread = threading.Thread(target=answer_three, daemon=True)
        thread.start()
        where = ["255.255.255.255:22", *[f"127.0.0.1:{server.getsockname()[1]}"] * 3]
        hosts = {f"compute{number}": address for number, address in enumerate(where)}
        listed = [f"{host}={address}" for host, address in hosts.items()]
        addresses = Addresses("{host}.invalid", listed, 22, OPTIONS)
        made = SshPoller(addresses, None, SystemClock(), timeout_s=30, parallel=1)

        readings = made.poll(hosts)[""]

    states = [readings[host].state for host in hosts]
    assert states[0] not in SIGNS_OF_LIFE
    assert states[1:] == [State.ONLINE] * 3


@pytest.fixture
def hung_port(serving, monkeypatch):
    """The port of a server that hangs; the timeout is over at once."""
    port, banner = serving(None), ssh._read_banner

    async def read(sock):
        if sock.getpeername()[1] == port:
            raise TimeoutError
        return await banner(sock)

    monkeypatch.setattr(ssh, "_read_banner", read)
    return port


def test_host_that_hangs_makes_room_for_two_more(hung_port, serving, monkeypatch):
    """One at a time is asked, and three will not answer but to three at a time."""
    port, banner, together = serving(b"SSH-2.0-x\r\n"), ssh._read_banner, asyncio.Barrier(3)

    async def read(sock):
        if sock.getpeername()[1] == port:
            await together.wait()
        return await banner(sock)

    monkeypatch.setattr(ssh, "_read_banner", read)
    ports = {"a": hung_port, "b": port, "c": port, "d": port}

    found = poller(ports, timeout_s=30, parallel=1).poll(list(ports))[""]

    assert [found[host].state for host in ports] == [State.DOUBTFUL, *[State.ONLINE] * 3]


def test_host_that_answers_at_its_second_address_was_waited_for(hung_port, serving):
    ports = [hung_port, serving(b"SSH-2.0-x\r\n")]
    targets = [(socket.AF_INET, ("127.0.0.1", port)) for port in ports]
    made = poller({}, timeout_s=30, hung=State.OFFLINE)

    asked = made._ask_all("a", Address("127.0.0.1", ports[0]), targets, None, None)

    reading = asyncio.run(asked)
    assert (reading.state, reading.waited) == (State.ONLINE, True)


def test_hung_host_is_offline_if_that_is_configured(serving):
    assert poll(serving(None), hung=State.OFFLINE).state is State.OFFLINE


def test_host_that_refuses_lives():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    assert poll(port).state is State.DOUBTFUL


def test_host_that_has_no_address_is_unknown():
    made = poller({})

    found = made.poll(["compute1", "rack:compute2"])[""]

    assert {reading.state for reading in found.values()} == {State.UNKNOWN}


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (OSError(113, "No route to host"), State.OFFLINE),
        (OSError(101, "Network is unreachable"), State.UNKNOWN),
        (OSError(24, "Too many open files"), State.UNKNOWN),
        (ConnectionRefusedError(111, "Connection refused"), State.DOUBTFUL),
    ],
)
def test_error_means(error, state):
    assert ssh.explain(error).state is state


# ---- logins


def login(key, known_hosts=None, user="masakari", per_look=20):
    return Login(user, key, known_hosts, per_look)


@pytest.fixture
def known(sshd, tmp_path):
    port, host_key = sshd
    line = host_key.export_public_key().decode()
    return private(tmp_path / "known_hosts", f"[127.0.0.1]:{port} {line}")


def test_login_with_the_known_key_is_online(sshd, key, known):
    reading = poll(sshd[0], login(key, known), timeout_s=10)

    assert (reading.state, reading.detail) == (
        State.ONLINE,
        f"127.0.0.1:{sshd[0]} lets us log in",
    )


def test_login_to_another_host_at_that_address_is_unknown(sshd, key, tmp_path):
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    known = private(tmp_path / "known_hosts", f"[127.0.0.1]:{sshd[0]} {other}")

    reading = poll(sshd[0], login(key, known), timeout_s=10)

    assert reading.state is State.UNKNOWN
    assert "shows a host key that is not known" in reading.detail


def test_login_file_of_known_hosts_is_gone_nobody_is_known(sshd, key):
    assert poll(sshd[0], login(key, "/no/such"), timeout_s=10).state is State.UNKNOWN


def test_login_that_is_refused_is_a_sign_of_life(sshd, key, known):
    reading = poll(sshd[0], login(key, known, user="nobody"), timeout_s=10)

    assert reading.state is State.ONLINE
    assert reading.detail.endswith("answers, but refuses the login as nobody")


def test_login_server_that_hangs_after_its_banner_hangs(key):
    server = socket.create_server(("127.0.0.1", 0))
    kept = []

    def run():
        connection, _ = server.accept()
        connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
        kept.append(connection)

    threading.Thread(target=run, daemon=True).start()
    with server:
        reading = poll(server.getsockname()[1], login(key))

    assert reading.state is State.DOUBTFUL
    assert "it hangs" in reading.detail


def test_logins_go_round(key):
    made = poller({}, login(key, per_look=2))

    turns = [sorted(made._turn(["a", "b", "c", "d", "e"])) for _ in range(5)]

    assert turns == [["a", "b"], ["c", "d"], ["a", "e"], ["b", "c"], ["d", "e"]]


def test_logins_that_failed_come_first(serving, key):
    port = serving(b"SSH-2.0-x\r\n")
    made = poller({"a": port, "b": port, "c": port}, login(key, per_look=1))

    made.poll(["a", "b", "c"])

    assert made._turn(["a", "b", "c"]) == {"a"}


def test_logins_that_always_fail_leave_half_of_them_to_others(serving, key):
    port = serving(b"SSH-2.0-x\r\n")
    made = poller(dict.fromkeys("abcd", port), login(key, per_look=4), timeout_s=30)
    made.poll("abcd")

    turns = ["".join(sorted(made._turn("abcdefgh"))) for _ in range(4)]

    assert turns == ["abef", "cdgh", "abef", "cdgh"]


def test_logins_one_in_a_look_goes_to_others_every_other_time(serving, key):
    port = serving(b"SSH-2.0-x\r\n")
    made = poller(dict.fromkeys("a", port), login(key, per_look=1), timeout_s=30)
    made.poll("a")

    turns = [made._turn("abc") for _ in range(6)]

    assert turns == [{"a"}, {"b"}, {"a"}, {"c"}, {"a"}, {"b"}]


def test_logins_that_always_fail_everywhere_go_round(serving, key):
    port = serving(b"SSH-2.0-x\r\n")
    made = poller(dict.fromkeys("abc", port), login(key, per_look=3), timeout_s=30)
    made.poll("abc")

    made._login = login(key, per_look=1)

    assert [made._turn("abc") for _ in range(4)] == [{"a"}, {"b"}, {"c"}, {"a"}]


def test_logins_no_host_more_than_there_are(key):
    assert poller({}, login(key))._turn(["a"]) == {"a"}


# ---- the monitor's own lateness


class Leaping(SystemClock):
    """Goes on, and leaps where the monitor's thread is to have stood still."""

    ahead_s = 0.0

    def monotonic(self):
        return super().monotonic() + self.ahead_s


def test_monitor_that_stood_still_accuses_nobody(serving, monkeypatch):
    banner, clock = ssh._read_banner, Leaping()

    async def stall(sock):
        clock.ahead_s += 60
        return await banner(sock)

    monkeypatch.setattr(ssh, "_read_banner", stall)
    ports = {"a": serving(None), "b": serving(b"SSH-2.0-x\r\n")}

    found = poller(ports, clock=clock, hung=State.OFFLINE).poll(["a", "b"])[""]

    assert found["a"].state is State.UNKNOWN
    assert found["a"].detail.startswith("this monitor itself stood still for ")


def test_no_more_at_a_time_than_configured(serving, monkeypatch):
    running, peak = [0], [0]

    async def count(_sock):
        running[0] += 1
        peak[0] = max(peak[0], running[0])
        await asyncio.sleep(0.01)
        running[0] -= 1
        return ssh.Reading(State.ONLINE, "")

    monkeypatch.setattr(ssh, "_read_banner", count)
    port = serving(None)

    poller({f"c{n}": port for n in range(10)}, parallel=3).poll([f"c{n}" for n in range(10)])

    assert peak[0] == 3


# ---- options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"\[ssh\] known_hosts_file: .*No such file"),
        ({"verify_host_keys": False}, r"\[ssh\] key_file: it is needed unless logins_per_look"),
        ({"verify_host_keys": False, "key_file": "/no"}, r"\[ssh\] key_file: /no: No such file"),
        ({"address": "compute"}, r"\[ssh\] address: 'compute' does not contain {host}"),
        ({"addresses": ["compute1"]}, r"\[ssh\] addresses: 'compute1' is not host=address"),
    ],
)
def test_from_conf_names_the_option_that_is_wrong(options, message):
    conf = configured("ssh", known_hosts_file="/no/such/file", **options)

    with SimClock() as clock, pytest.raises(errors.ConfigInvalid, match=message):
        SshPoller.from_conf(conf, Watched("compute1"), clock)


@pytest.mark.parametrize(
    ("mode", "text", "problem"),
    [
        (0o644, None, "is open to others: chmod 600 or 640 it"),
        (0o600, "hunter2", "is not usable"),
    ],
)
def test_from_conf_key_that_cannot_be_used_is_refused(key, tmp_path, mode, text, problem):
    path = tmp_path / "id"
    path.write_text(text or key.export_private_key().decode())
    path.chmod(mode)
    conf = configured("ssh", key_file=str(path), verify_host_keys=False)

    with SimClock() as clock, pytest.raises(errors.ConfigInvalid, match=problem) as raised:
        SshPoller.from_conf(conf, Watched("compute1"), clock)

    assert "hunter2" not in str(raised.value)


def test_from_conf_without_logins_needs_no_key(serving):
    port = serving(b"SSH-2.0-x\r\n")
    conf = configured("ssh", logins_per_look=0, addresses=[f"compute1=127.0.0.1:{port}"])

    with SimClock() as clock:
        (sample,) = SshPoller.from_conf(conf, Watched("compute1"), clock).look()

    assert sample.state is State.ONLINE
