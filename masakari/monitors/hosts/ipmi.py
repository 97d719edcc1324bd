"""The driver ipmi: hosts by what their management controllers say of the power.

Power that is off is a proof of death.  Power that is on proves no life: a host that hangs has it
too.  A controller that does not answer says nothing: it may share the cable, or the power.
"""

import subprocess
from collections.abc import Collection, Mapping
from typing import Any

from oslo_config import cfg

from masakari import clock as clock_
from masakari.monitors import watchlist
from masakari.monitors.hosts import bmc, polling
from masakari.monitors.hosts.polling import Reading
from masakari.monitors.judge import State

FORM = bmc.Form(
    needed={"address": str, "username": str, "password": str},
    optional={"port": int, "cipher_suite": int},
    check=lambda fields: (
        "address cannot begin with a dash" if fields["address"].startswith("-") else None
    ),
)
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C",
}


class IpmiPoller:
    """Asks controllers with ipmitool, so many at a time."""

    suspicion = bmc.SUSPICION

    def __init__(self, file: bmc.File, *, timeout_s: float, parallel: int) -> None:
        """Nobody is asked yet."""
        self._file = file
        self._timeout_s = timeout_s
        self._parallel = parallel

    @staticmethod
    def from_conf(
        conf: cfg.ConfigOpts,
        hosts: watchlist.Watchlist,
        clock: clock_.Clock,
        **_given: Any,  # what other drivers are given
    ) -> polling.PolledProbe:
        """The probe that [ipmi] describes.  Raises ConfigInvalid."""
        poller = IpmiPoller(
            bmc.File("ipmi", conf.ipmi.hosts_file, FORM),
            timeout_s=conf.ipmi.timeout,
            parallel=conf.ipmi.parallel,
        )
        return polling.PolledProbe(poller, hosts, clock)

    def poll(self, hosts: Collection[str]) -> polling.Readings:
        """A reading of each of *hosts*."""
        return {"": bmc.ask_all(hosts, self._file.read(), self._ask, self._parallel)}

    def _ask(self, _host: str, controller: bmc.Controller) -> Reading:
        return ask(controller.fields, self._timeout_s)


def ask(fields: Mapping[str, Any], timeout_s: float) -> Reading:
    """What the controller says of the power."""
    try:
        said = subprocess.run(  # noqa: S603  # no shell; the password is in the environment
            command(fields, timeout_s),
            env={**ENVIRONMENT, "IPMI_PASSWORD": fields["password"]},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        why = f"does not answer within {timeout_s:g} s"
    except OSError as error:
        why = f"could not be asked, as ipmitool cannot be run ({error.strerror})"
    else:
        return read(fields["address"], said.stdout, said.stderr)
    return Reading(State.UNKNOWN, f"the BMC {fields['address']} {why}")


def command(fields: Mapping[str, Any], timeout_s: float) -> list[str]:
    """What asks a controller whether the power is on; -E takes the password of the environment."""
    argv = [
        "ipmitool",
        "-I",
        "lanplus",
        "-H",
        fields["address"],
        "-p",
        str(fields.get("port", 623)),
    ]
    argv += ["-U", fields["username"], "-E", "-L", "USER"]
    argv += ["-N", str(max(1, int(timeout_s / 3))), "-R", "2"]
    if "cipher_suite" in fields:
        argv += ["-C", str(fields["cipher_suite"])]
    return [*argv, "chassis", "power", "status"]


def read(address: str, said: str, complaints: str) -> Reading:
    """What the answer of ipmitool means."""
    word = said.strip().rpartition(" ")[2]
    if said.startswith("Chassis Power is ") and word in ("on", "off"):
        state = State.ONLINE if word == "on" else State.OFFLINE
        return bmc.of_power(state, address, word)
    lines = complaints.strip().splitlines() or ["no answer"]
    return Reading(State.UNKNOWN, f"the BMC {address} could not be asked ({lines[-1].strip()})")
