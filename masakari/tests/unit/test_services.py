"""What lies in etc/ for systemd, systemd-sysusers, systemd-tmpfiles and logrotate."""

import configparser
import pathlib
import re
import shutil
import subprocess

import pytest
from oslo_service import opts as service_opts

from masakari.cmd import common

ETC = pathlib.Path(__file__).parents[3] / "etc"
UNITS = sorted((ETC / "systemd").glob("*.service"))
INSTALLED = "/opt/masakari/bin/"
NEEDS_SYSTEMD = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd is not installed"
)

pytestmark = pytest.mark.skipif(not ETC.exists(), reason="these tests read the source tree")


def service(unit):
    """{key: value} of its section [Service]; of keys that occur several times, the last one's."""
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str
    parser.read(unit)
    return dict(parser["Service"])


def programs():
    setup = configparser.ConfigParser()
    setup.read(ETC.parent / "setup.cfg")
    lines = setup["options.entry_points"]["console_scripts"].split("\n")
    return {line.partition("=")[0].strip() for line in lines if line.strip()}


def test_each_daemon_has_a_unit():
    others = {"masakari-manage", "masakari-status"}

    assert {unit.stem for unit in UNITS} == programs() - others
    for unit in UNITS:
        assert service(unit)["ExecStart"] == INSTALLED + unit.stem


@pytest.fixture
def root(tmp_path):
    """A directory in which the programs lie where the units have them."""
    for name in programs():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    return tmp_path


def verify(root, unit, change=lambda text: text):
    """What systemd-analyze says of it."""
    copy = root / unit.name
    copy.write_text(change(unit.read_text()).replace(INSTALLED, f"{root}/bin/"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", copy],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@NEEDS_SYSTEMD
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_has_nothing_to_say_about_a_unit(root, unit):
    assert verify(root, unit) == (0, "")


@NEEDS_SYSTEMD
def test_systemd_would_say_so(root):
    _, said = verify(root, UNITS[0], lambda text: text.replace("PrivateTmp=", "PrivatTmp="))

    assert "PrivatTmp" in said


@NEEDS_SYSTEMD
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_exposure_is_low(unit):
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=20", "--no-pager", unit],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-500:] + done.stderr


def test_units_have_the_same_privileges():
    wanted = re.compile(r"# ---- least privileges\n(.*?)\n\n", re.DOTALL)

    blocks = {wanted.search(unit.read_text()).group(1) for unit in UNITS}

    assert len(blocks) == 1


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_unit_stops_later_than_requests_and_not_again_with_a_bad_configuration(unit, conf):
    found = service(unit)
    service_opts.register_service_opts(conf)

    assert int(found["TimeoutStopSec"]) > conf.graceful_shutdown_timeout
    assert int(found["RestartPreventExitStatus"]) == common.MISCONFIGURED


@pytest.mark.skipif(not shutil.which("logrotate"), reason="logrotate is not installed")
def test_logrotate_understands_its_file(tmp_path):
    copy = tmp_path / "masakari"
    text = (ETC / "logrotate.d/masakari").read_text()
    # neither user nor directory are on this machine
    text = text.replace("    su masakari masakari\n", "").replace(" masakari masakari", "")
    copy.write_text(text.replace("/var/log/masakari", str(tmp_path)))
    copy.chmod(0o644)
    (tmp_path / "masakari-api.log").write_text("a line\n")

    done = subprocess.run(
        [shutil.which("logrotate"), "--force", "--state", tmp_path / "state", copy],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "masakari-api.log.1").read_text() == "a line\n"
