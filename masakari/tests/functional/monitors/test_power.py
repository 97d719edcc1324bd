"""The drivers ipmi and redfish in front of real management controllers, emulated."""

import contextlib
import pathlib
import shutil
import signal
import socket
import subprocess
import sys

import bcrypt
import pytest
import requests
import trustme

from masakari.clock import SystemClock, wait_until
from masakari.monitors.hosts.ipmi import IpmiPoller
from masakari.monitors.hosts.redfish import RedfishPoller
from masakari.monitors.judge import State
from masakari.tests.functional.world import bmc
from masakari.tests.unit.monitors.drivers import Watched, configured, private, seen

pytestmark = pytest.mark.functional
CLOCK = SystemClock()

CONTROL = """#!/bin/sh
# MC get|set|check PARAMETER [VALUE]...
test "$2 $3" != "get power" || echo power:$(cat {power})
"""


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@contextlib.contextmanager
def running(argv, log):
    with log.open("w") as output:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(10)


class Ipmi:
    """A controller whose host has the power that is written to `power`."""

    def __init__(self, directory, name, address="127.0.0.1"):
        self.address, self.port = address, free_port(socket.SOCK_DGRAM)
        control = directory / "control"
        self.argv = bmc.configure(directory, name, address, self.port, control)
        self.power = directory / "power"
        self.power.write_text("1")
        control.write_text(CONTROL.format(power=self.power))
        control.chmod(0o700)
        self.log = directory / "log"
        self.process = None


@pytest.fixture(scope="module")
def controllers(tmp_path_factory):
    for program in ("ipmi_sim", "ipmitool"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed; as root on Debian, make test installs it")
    directory = tmp_path_factory.mktemp("ipmi")
    made = {name: Ipmi(directory / name, name) for name in ("compute1", "compute2")}
    with contextlib.ExitStack() as stack:
        for controller in made.values():
            controller.process = stack.enter_context(running(controller.argv, controller.log))
        yield made


def ipmi(controllers, directory, password="secret"):
    entries = [
        f"  {name}: {{address: {c.address}, port: {c.port}, cipher_suite: 3}}"
        for name, c in controllers.items()
    ]
    text = f"defaults: {{username: admin, password: {password}}}\nhosts:\n" + "\n".join(entries)
    conf = configured("ipmi", hosts_file=private(directory / "bmc.yaml", text), timeout=3)
    return IpmiPoller.from_conf(conf, Watched(*controllers), CLOCK)


def states(probe):
    return {host: state for host, (state, _) in seen(probe).items()}


def test_ipmi_power_off_is_a_death_and_a_frozen_controller_is_none(controllers, tmp_path):
    probe = ipmi(controllers, tmp_path)
    both = dict.fromkeys(controllers, State.ONLINE)
    assert wait_until(CLOCK, lambda: states(probe) == both, 20, 0.2), seen(probe)

    controllers["compute1"].power.write_text("0")
    off = both | {"compute1": State.OFFLINE}
    assert wait_until(CLOCK, lambda: states(probe) == off, 20, 0.2), seen(probe)
    controllers["compute1"].power.write_text("1")
    controllers["compute1"].process.send_signal(signal.SIGSTOP)
    frozen = states(probe)["compute1"]
    controllers["compute1"].process.send_signal(signal.SIGCONT)

    assert frozen is State.UNKNOWN
    assert wait_until(CLOCK, lambda: states(probe) == both, 20, 0.2), seen(probe)


def test_ipmi_wrong_password_says_nothing_of_the_host(controllers, tmp_path):
    found = seen(ipmi(controllers, tmp_path, password="hunter2"))

    assert {state for state, _ in found.values()} == {State.UNKNOWN}
    assert "hunter2" not in str(found)


def test_redfish_service(tmp_path):
    """sushy-emulator, with its own systems."""
    emulator = pathlib.Path(sys.executable).with_name("sushy-emulator")
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4, prefix=b"2b")).decode()
    (tmp_path / "htpasswd").write_text(f"admin:{hashed}\n")
    port = free_port(socket.SOCK_STREAM)
    (tmp_path / "emulator.conf").write_text(
        f"SUSHY_EMULATOR_SSL_CERT = {str(tmp_path / 'cert.pem')!r}\n"
        f"SUSHY_EMULATOR_SSL_KEY = {str(tmp_path / 'key.pem')!r}\n"
        f"SUSHY_EMULATOR_LISTEN_IP = '127.0.0.1'\nSUSHY_EMULATOR_LISTEN_PORT = {port}\n"
        f"SUSHY_EMULATOR_STATE_DIR = {str(tmp_path)!r}\nSUSHY_EMULATOR_FAKE_DRIVER = True\n"
        f"SUSHY_EMULATOR_AUTH_FILE = {str(tmp_path / 'htpasswd')!r}\n"
        "SUSHY_EMULATOR_FAKE_SYSTEMS = [\n"
        "  {'uuid': '1', 'name': 'one', 'power_state': 'On', 'nics': []},\n"
        "  {'uuid': '2', 'name': 'two', 'power_state': 'On', 'nics': []}]\n"
    )
    url = f"https://127.0.0.1:{port}"
    systems = f"{url}/redfish/v1/Systems"
    admin = {"auth": ("admin", "secret"), "verify": str(tmp_path / "ca.pem"), "timeout": 60}

    def is_up():
        with contextlib.suppress(requests.RequestException):
            return requests.get(systems, **admin).ok
        return False

    argv = [str(emulator), "--config", str(tmp_path / "emulator.conf")]
    with running(argv, tmp_path / "log"):
        assert wait_until(CLOCK, is_up, 120, 0.2), (tmp_path / "log").read_text()
        text = "defaults: {username: admin, password: secret}\nhosts:\n" + "".join(
            f"  compute{n}: {{url: '{url}', system: /redfish/v1/Systems/{n}}}\n" for n in (1, 2)
        )
        conf = configured(
            "redfish",
            hosts_file=private(tmp_path / "bmc.yaml", text),
            ca_file=str(tmp_path / "ca.pem"),
        )
        probe = RedfishPoller.from_conf(conf, Watched("compute1", "compute2"), CLOCK)
        both = {"compute1": State.ONLINE, "compute2": State.ONLINE}
        assert wait_until(CLOCK, lambda: states(probe) == both, 20, 0.2), seen(probe)

        off = requests.post(
            f"{systems}/1/Actions/ComputerSystem.Reset", json={"ResetType": "ForceOff"}, **admin
        )
        assert off.ok, off.text
        one_off = both | {"compute1": State.OFFLINE}
        assert wait_until(CLOCK, lambda: states(probe) == one_off, 20, 0.2), seen(probe)
