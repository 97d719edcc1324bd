"""Real IPMI 2.0 BMCs (OpenIPMI's ipmi_sim), such as one that switches a simulated host."""

import subprocess
import sys

from masakari.tests.functional.world import host as host_

USER, PASSWORD = "admin", "secret"
LAN = """\
name "{name}"
set_working_mc 0x20
  startlan 1
    addr {address} {port}
    priv_limit admin
    allowed_auths_callback none md2 md5
    allowed_auths_user none md2 md5
    allowed_auths_operator none md2 md5
    allowed_auths_admin none md2 md5
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "{chassis} 0x20"
  user 1 true "" "test" user 10 none md2 md5
  user 2 true "admin" "secret" admin 10 none md2 md5
"""
EMULATOR = """\
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
mc_enable 0x20
"""
CHASSIS = """\
#!/bin/sh
# called as: chassis MC get|set|check PARAMETER [VALUE]...
host() {{ {python} -m {module} {directory} "$1"; }}
operation=$2
shift 2
while [ $# -gt 0 ]; do
    case $operation:$1 in
    get:power) [ "$(host state)" = on ] && echo power:1 || echo power:0; shift ;;
    get:boot) echo boot:default; shift ;;
    get:*) echo "$1:0"; shift ;;
    set:power) if [ "$2" = 1 ]; then host on; else host off; fi; shift 2 ;;
    set:reset) host off; host on; shift 2 ;;
    set:*) shift 2 ;;
    check:*) shift ;;
    *) exit 1 ;;
    esac
done </dev/null
"""


def configure(directory, name, address, port, chassis) -> list[str]:
    """What runs a BMC of that name there; *chassis* is the program that it asks and commands."""
    (directory / "state").mkdir(parents=True)
    lan, emulator = directory / "lan.conf", directory / "bmc.emu"
    lan.write_text(LAN.format(name=name, address=address, port=port, chassis=chassis))
    emulator.write_text(EMULATOR)
    return [*map(str, ("ipmi_sim", "-n", "-c", lan, "-f", emulator, "-s", directory / "state"))]


class Bmc:
    """Of one host; it listens until `stop`."""

    def __init__(self, host, address, port) -> None:
        self.address, self.port = address, port
        directory = host.directory / "bmc"
        chassis = directory / "chassis"
        argv = configure(directory, host.name, address, port, chassis)
        values = {"python": sys.executable, "module": host_.__name__, "directory": host.directory}
        chassis.write_text(CHASSIS.format(**values))
        chassis.chmod(0o700)
        with (directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=host_.TREE,
                start_new_session=True,
            )

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(10)
