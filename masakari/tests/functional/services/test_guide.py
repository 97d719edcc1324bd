"""The installation guide, followed literally: its commands are run, its files are written.

Not followed is what makes users in Keystone and databases: those are there.  The libraries are not
downloaded again.
"""

import pathlib

import pytest

from masakari.clock import SystemClock
from masakari.sim.cloud import Settings, SimCloud
from masakari.sim.http import SimServer
from masakari.tests.functional.program import free_port
from masakari.tests.functional.services import guide
from masakari.tests.functional.services import host as host_

pytestmark = pytest.mark.functional

SOURCE = "/var/tmp/source"
"""Where the tree is unpacked."""
CLIENT = """\
#!/opt/masakari/bin/python
from openstackclient.shell import main
raise SystemExit(main())
"""


@pytest.fixture
def bare(tmp_path):
    """A host on which nothing of ours is installed."""
    if reason := host_.missing():
        pytest.skip(reason)
    host = host_.Host(tmp_path)
    try:
        host.start()
        yield host
    finally:
        host.remove()


@pytest.fixture
def keystone():
    """A simulated one, which knows at which port Masakari is."""
    cloud = SimCloud(SystemClock(), Settings())
    cloud.add_host("compute1")
    port = free_port()
    with SimServer(cloud, ha_url=f"http://127.0.0.1:{port}/v1") as server:
        yield server.auth_url, port


def test_guide(bare, keystone, mariadb_url, rabbit_url):
    cloud, port = keystone
    version = bare.run("python3", "-c", "import sys; print('python%d.%d' % sys.version_info[:2])")
    packages = f"/opt/masakari/lib/{version.strip()}/site-packages"
    there = {
        "mysql+pymysql://masakari:secret@controller/masakari?charset=utf8": mariadb_url,
        "rabbit://openstack:secret@controller/": rabbit_url,
        "http://controller:5000/v3": cloud,
        # the usual one may be taken on the machine of the tests
        "[DEFAULT]\n": f"[DEFAULT]\nmasakari_api_listen_port = {port}\n",
    }
    environment = {
        "OS_AUTH_URL": cloud,
        "OS_USERNAME": "admin",
        "OS_PASSWORD": "secret",
        "OS_PROJECT_NAME": "admin",
        "OS_USER_DOMAIN_ID": "default",
        "OS_PROJECT_DOMAIN_ID": "default",
        # the libraries are those of the tests
        "PIP_NO_DEPS": "1",
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip has it the other way round
    }
    exports = "".join(f"export {name}={value}\n" for name, value in environment.items())
    bare.run("mkdir", SOURCE)
    bare.run(
        *("cp", "-r", *(f"/opt/tree/{n}" for n in ("bin", "etc", "masakari")), SOURCE),
    )
    bare.run(
        "sh",
        "-c",
        f"cp /opt/tree/setup.* /opt/tree/*.toml /opt/tree/*.txt /opt/tree/*.rst {SOURCE}",
    )
    bare.run("cp", "/opt/tree/LICENSE", SOURCE)
    bare.write("/opt/bin/openstack", CLIENT, "755", "root")

    said = ""
    for file, text in guide.steps():
        for guides, ours in there.items():
            text = text.replace(guides, ours)  # noqa: PLW2901
        if file is not None:
            bare.write(file, text, "644", "root")
        elif "-m venv" in text:
            create, _, rest = text.partition("\n")
            bare.run("bash", "-euc", create)
            bare.write(f"{packages}/libraries.pth", "/opt/libraries\n", "644", "root")
            newer = "export PYTHONPATH=/opt/libraries\n"  # setuptools
            bare.run("bash", "-euc", f"{exports}{newer}cd {SOURCE}\n{rest}")
        else:
            said = bare.run("bash", "-euc", f"{exports}cd {SOURCE}\n{text}")

    assert "compute1" in said
    for name in ("masakari-api", "masakari-engine", "masakari-hostmonitor"):
        assert bare.show(name, "ActiveState") == "active", bare.journal(name)
        assert bare.run("systemctl", "is-enabled", name).strip() == "enabled"
    installed = bare.run(
        "/opt/masakari/bin/python", "-c", "import masakari; print(masakari.__file__)"
    )
    assert pathlib.Path(installed.strip()).is_relative_to(packages)
