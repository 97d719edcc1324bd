"""The drivers ping, ssh and ipmi before hosts with a kernel, a cable, a real sshd and a BMC."""

import subprocess

import pytest

from masakari.clock import SystemClock, wait_until
from masakari.monitors import core
from masakari.monitors.hosts.ping import PingPoller
from masakari.monitors.hosts.ssh import SshPoller
from masakari.monitors.judge import Judge, State
from masakari.tests.functional.monitors import test_power
from masakari.tests.functional.world import host as host_
from masakari.tests.unit.monitors.drivers import Watched, configured, private, seen

pytestmark = pytest.mark.functional
CLOCK = SystemClock()


@pytest.fixture(scope="module")
def lan(tmp_path_factory):
    if reason := host_.missing("ping", "nft", "sshd", "ssh-keygen", "ipmi_sim", "ipmitool"):
        pytest.skip(reason)
    lan = host_.Lan(tmp_path_factory.mktemp("lan"))
    yield lan
    lan.down()


@pytest.fixture(scope="module")
def pair(lan, key):
    hosts = {"compute1": lan.add("compute1", 1), "compute2": lan.add("compute2", 2)}
    for host in hosts.values():
        host.start()
        serve_ssh(host, key)
    return hosts


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    """The file of a private key."""
    path = tmp_path_factory.mktemp("key") / "id"
    host_.sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path))
    return path


def serve_ssh(host, key):
    """An sshd on the host lets root in, with *key*."""
    host.write("/etc/ssh/keys/authorized_keys", key.with_suffix(".pub").read_text(), mode="600")
    host.run(
        "sh",
        "-ec",
        "mkdir -p /run/sshd; test -e /etc/ssh/keys/host ||"
        " ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/keys/host;"
        " /usr/sbin/sshd -f /dev/null -h /etc/ssh/keys/host -E /run/sshd.log"
        " -o PidFile=/run/sshd.pid -o AuthorizedKeysFile=/etc/ssh/keys/authorized_keys"
        " -o PermitRootLogin=prohibit-password -o StrictModes=no -o UsePAM=no",
    )


@pytest.fixture
def known_hosts(pair, tmp_path):
    lines = [
        f"{host.address} {host.run('cat', '/etc/ssh/keys/host.pub')}" for host in pair.values()
    ]
    return private(tmp_path / "known_hosts", "".join(lines))


def ssh(pair, key, known_hosts, **options):
    conf = configured(
        "ssh",
        key_file=str(key),
        known_hosts_file=known_hosts,
        addresses=[f"{name}={host.address}" for name, host in pair.items()],
        **{"user": "root", "timeout": 2, **options},
    )
    return SshPoller.from_conf(conf, Watched(*pair), CLOCK)


def ping(pair, **options):
    conf = configured(
        "ping",
        addresses=[f"manage/{name}={host.address}" for name, host in pair.items()],
        **{"timeout": 1, **options},
    )
    return PingPoller.from_conf(conf, Watched(*pair), CLOCK)


@pytest.fixture
def bmcs(pair, tmp_path):
    """A management controller of each host, which shares its cable."""
    made = {
        name: test_power.Ipmi(tmp_path / name, name, host.address) for name, host in pair.items()
    }
    for name, bmc in made.items():
        pair[name].popen(*bmc.argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield made
    for host in pair.values():
        host.run("pkill", "-KILL", "-x", "ipmi_sim", check=False)


def states(probe):
    return {host: state for host, (state, _) in seen(probe).items()}


def becomes(probe, expected):
    assert wait_until(CLOCK, lambda: states(probe) == expected, 20, 0.1), seen(probe)


BOTH = {"compute1": State.ONLINE, "compute2": State.ONLINE}
ONE_DEAD = BOTH | {"compute1": State.OFFLINE}


def test_cable_is_cut_and_healed(pair, key, known_hosts):
    probes = [ping(pair), ssh(pair, key, known_hosts)]
    for probe in probes:
        becomes(probe, BOTH)

    pair["compute1"].cut()
    cut = [states(probe) for probe in probes]
    pair["compute1"].heal()

    assert cut == [ONE_DEAD, ONE_DEAD]
    for probe in probes:
        becomes(probe, BOTH)


def test_both_cables_are_cut_nobody_is_accused(pair, key, known_hosts):
    for host in pair.values():
        host.cut()
    try:
        for probe in (ping(pair), ssh(pair, key, known_hosts)):
            with pytest.raises(core.Blind, match="not one of 2 hosts shows a sign of life"):
                probe.look()
    finally:
        for host in pair.values():
            host.heal()


def test_link_that_loses_packets_is_no_death(pair):
    pair["compute1"].loss(20)
    probe = ping(pair, echoes=20)
    try:
        assert [states(probe) for _ in range(5)] == [BOTH] * 5
    finally:
        pair["compute1"].loss(0)


def test_link_that_loses_packets_accuses_nobody_of_ssh(pair, key, known_hosts):
    """Of what goes there and back 28 % is lost."""
    probe = ssh(pair, key, known_hosts, timeout=5)
    judge = Judge(3)
    becomes(probe, BOTH)
    pair["compute1"].loss(15)
    try:
        told = [judge.see(probe.look()).events for _ in range(4)]
    finally:
        pair["compute1"].loss(0)

    assert told == [[]] * 4


def test_controller_that_cannot_be_reached_says_nothing_of_its_host(pair, bmcs, tmp_path):
    probe = test_power.ipmi(bmcs, tmp_path)
    becomes(probe, BOTH)
    host = pair["compute1"]
    try:
        host.loss(15)
        lossy = {states(probe)["compute1"] for _ in range(2)}
        host.loss(0)
        bmcs["compute1"].power.write_text("0")
        host.cut()
        cut = states(probe)["compute1"]
    finally:
        host.loss(0)
        host.heal()

    assert lossy <= {State.ONLINE, State.UNKNOWN}
    assert cut is State.UNKNOWN
    becomes(probe, ONE_DEAD)


def test_hung_host_still_answers_ping_and_ssh_sees_it(pair, key, known_hosts):
    host = pair["compute1"]
    host.run("sh", "-c", "kill -STOP $(cat /run/sshd.pid)")
    try:
        assert states(ping(pair)) == BOTH
        found = seen(ssh(pair, key, known_hosts))
        reported = states(ssh(pair, key, known_hosts, hung="offline"))
    finally:
        host.run("sh", "-c", "kill -CONT $(cat /run/sshd.pid)")

    assert found["compute1"][0] is State.DOUBTFUL
    assert "accepts the connection and says nothing: it hangs" in found["compute1"][1]
    assert reported == ONE_DEAD


def test_login_is_real(pair, key, known_hosts, tmp_path):
    """OpenSSH takes the key, and another machine at the address is found out."""
    other = pair["compute2"].run("cat", "/etc/ssh/keys/host.pub")
    stranger = private(tmp_path / "stranger", f"{pair['compute1'].address} {other}")

    assert seen(ssh(pair, key, known_hosts))["compute1"][1].endswith("lets us log in")
    refused = seen(ssh(pair, key, known_hosts, user="nobody"))["compute1"]
    assert refused[1].endswith("answers, but refuses the login as nobody")
    assert seen(ssh(pair, key, stranger))["compute1"][0] is State.UNKNOWN


def test_power_is_lost_and_comes_back(pair, key, known_hosts):
    probe = ssh(pair, key, known_hosts)
    pair["compute1"].stop()

    dead = states(probe), states(ping(pair))
    pair["compute1"].start()
    serve_ssh(pair["compute1"], key)

    assert dead == (ONE_DEAD, ONE_DEAD)
    becomes(probe, BOTH)
