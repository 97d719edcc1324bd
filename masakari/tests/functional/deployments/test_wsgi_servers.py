"""The API in gunicorn, uWSGI and Apache, each with the file of etc/, and behind HAProxy."""

import getpass
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest
from prometheus_client.parser import text_string_to_metric_families

from masakari import exposition
from masakari.tests.conftest import TOLD_AT_THE_END
from masakari.tests.functional.deployments import files
from masakari.tests.functional.deployments.conftest import BIN, TOKEN, Machine, Started
from masakari.tests.functional.load import RATE, Load, get
from masakari.tests.functional.program import free_port, wait

pytestmark = pytest.mark.functional

ETC = pathlib.Path(__file__).parents[4] / "etc"
APACHE, HAPROXY = pathlib.Path("/usr/sbin/apache2"), pathlib.Path("/usr/sbin/haproxy")
MODULES = pathlib.Path("/usr/lib/apache2/modules")
PATH = "/v1/segments"
IS_THOROUGH = os.environ.get("MASAKARI_THOROUGH") == "1"
USER = "www-data" if os.geteuid() == 0 else getpass.getuser()
AS_USER = ("runuser", "-u", USER, "--") if os.geteuid() == 0 else ()
APACHE_ALONE = """\
ServerRoot {root}
ServerName localhost
PidFile {root}/apache.pid
Mutex file:{root}
User {user}
Group {user}
{modules}
Define APACHE_LOG_DIR {root}
ErrorLog {root}/apache.log
LogLevel warn
"""


def ours(name: str, before: str, after: str) -> str:
    """A file of etc/ that listens elsewhere."""
    text = (ETC / name).read_text()
    assert before in text
    return text.replace(before, after)


class Served:
    """The API in a server of others."""

    def __init__(self, machine: Machine, program: Started, metrics: pathlib.Path) -> None:
        self.machine, self.program, self.metrics = machine, program, metrics

    @property
    def workers(self) -> set[str]:
        """Process ids of those that have counted something."""
        return {path.stem.rpartition("_")[2] for path in self.metrics.glob("*.db")}

    def counted(self) -> float:
        """Lists of segments that all workers together have answered."""
        _, text = exposition.of_all_workers(self.metrics, "masakari-api", "test")()
        return sum(
            sample.value
            for family in text_string_to_metric_families(text.decode())
            for sample in family.samples
            if sample.name == "masakari_api_requests_total"
            and sample.labels == {"operation": "GET /segments", "status": "200"}
        )

    def signal_first(self, number: int) -> None:
        """Send it to the first process, as a service manager does."""
        assert self.program._process is not None
        self.program._process.send_signal(number)


@pytest.fixture
def metrics(tmp_path: pathlib.Path) -> pathlib.Path:
    """Where workers count."""
    directory = tmp_path / "metrics"
    directory.mkdir()
    return directory


def start_gunicorn(machine: Machine, metrics: pathlib.Path, port: int | None = None) -> Started:
    if not (BIN / "gunicorn").exists():
        pytest.skip("gunicorn is missing: pip install gunicorn")
    port = port or machine.port
    config = machine.root / f"gunicorn-{port}.conf.py"
    config.write_text(ours("gunicorn/masakari-api.conf.py", "0.0.0.0:15868", f"127.0.0.1:{port}"))
    return machine.start("gunicorn", "--config", config, **environment(machine, metrics))


def start_uwsgi(machine: Machine, metrics: pathlib.Path, port: int | None = None) -> Started:
    if not (BIN / "uwsgi").exists():
        pytest.skip("uWSGI is missing: pip install pyuwsgi")
    port = port or machine.port
    config = machine.root / f"uwsgi-{port}.ini"
    text = ours("uwsgi/masakari-api.ini", ":15868", f"127.0.0.1:{port}")
    config.write_text(text + f"virtualenv = {sys.prefix}\n")
    return machine.start("uwsgi", "--ini", config, **environment(machine, metrics))


def start_apache(machine: Machine, metrics: pathlib.Path, port: int | None = None) -> Started:
    if not APACHE.exists() or not (MODULES / "mod_wsgi.so").exists():
        pytest.skip("Apache with mod_wsgi is not installed; as root on Debian, make test does it")
    linked = subprocess.run(
        ["ldd", MODULES / "mod_wsgi.so"], capture_output=True, text=True, check=True
    )
    if f"libpython{sys.version_info[0]}.{sys.version_info[1]}" not in linked.stdout:
        pytest.skip("mod_wsgi is made for another version of Python")
    packages = next(pathlib.Path(sys.prefix).glob("lib/python*/site-packages"))
    if os.geteuid() == 0:  # Apache refuses to run as root
        let_in(USER, machine.root)
    readable = ("test", "-r", packages, "-a", "-r", __file__)
    if subprocess.run([*AS_USER, *readable], check=False).returncode:
        pytest.skip(f"the user of Apache cannot read {packages}")
    names = ("mpm_event", "authz_core", "wsgi")
    loaded = "\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in names)
    alone = APACHE_ALONE.format(root=machine.root, modules=loaded, user=USER)
    site = ours("apache2/masakari-api.conf", "15868", str(port or machine.port))
    site = site.replace("/opt/masakari/bin", str(BIN)).replace("combined", '"%h %r %>s"')
    site = site.replace("Listen ", "Listen 127.0.0.1:")
    site = site.replace(" user=masakari group=masakari", "")
    site = site.replace("python-home=/opt/masakari", f"python-path={packages}")
    config = machine.root / "apache.conf"
    config.write_text(alone + site)
    env = environment(machine, metrics)
    return machine.start(APACHE, "-DFOREGROUND", "-f", config, **env)


def let_in(user: str, directory: pathlib.Path) -> None:
    """The directory and all in it are the user's, who may come there."""
    for path in (directory, *directory.rglob("*")):
        shutil.chown(path, user, user)
    for parent in directory.parents:
        if parent.stat().st_uid == 0 and parent.is_relative_to(tempfile.gettempdir()):
            parent.chmod(parent.stat().st_mode | 0o011)


def environment(machine: Machine, metrics: pathlib.Path) -> dict[str, str]:
    return {
        "OS_MASAKARI_CONFIG_DIR": str(machine.root / "home/.masakari"),
        exposition.MULTIPROC_DIR: str(metrics),
    }


START = {"gunicorn": start_gunicorn, "uwsgi": start_uwsgi, "apache": start_apache}


def serve(machine: Machine, metrics: pathlib.Path, name: str) -> Served:
    machine.lay_down(files.DEBIAN)
    served = Served(machine, START[name](machine, metrics), metrics)
    assert machine.await_api(PATH).json() == {"segments": []}
    return served


def stop(served: Served) -> None:
    served.signal_first(signal.SIGTERM)
    wait("it has ended", lambda: served.program.returncode is not None, 60)
    assert served.program.returncode == 0
    assert not served.program.said("Traceback")


@pytest.mark.parametrize("name", START)
def test_server_answers_and_workers_count_together(
    machine: Machine, metrics: pathlib.Path, name: str
) -> None:
    served = serve(machine, metrics, name)
    assert get(machine.port, PATH) == 401
    assert get(machine.port, PATH, {"X-Auth-Token": "nobody's"}) == 401
    load = Load(machine.port, PATH, TOKEN)
    wait("both workers have served", lambda: len(served.workers) >= 2, 60)
    load.end()

    assert load.failures == load.refused == []
    assert served.counted() == len(load.answers) + 1
    stop(served)


@pytest.mark.parametrize("name", ["gunicorn", "uwsgi"])
def test_reload_under_load_loses_no_request(
    machine: Machine, metrics: pathlib.Path, record_property, name: str
) -> None:
    served = serve(machine, metrics, name)
    load = Load(machine.port, PATH, TOKEN)
    wait("there is load", lambda: len(load.answers) > RATE, 30)
    before = served.workers

    served.signal_first(signal.SIGHUP)

    wait("new workers serve", lambda: len(served.workers - before) >= 2, 60)
    count = len(load.answers)
    wait("more load", lambda: len(load.answers) > count + RATE, 30)
    tell(record_property, f"{name}: reload", load)
    assert load.failures == load.refused == []
    assert set(load.answers) == {200}
    stop(served)


@pytest.mark.skipif(not IS_THOROUGH, reason="half a minute each: make soak runs it")
@pytest.mark.parametrize("name", ["gunicorn", "uwsgi"])
def test_two_behind_haproxy_one_after_the_other_is_restarted(
    machine: Machine, metrics: pathlib.Path, record_property, name: str
) -> None:
    """Who has connected to a server that ends, and was not looked at yet, is asked elsewhere."""
    if not HAPROXY.exists():
        pytest.skip("HAProxy is not installed; as root on Debian, make test installs it")
    machine.lay_down(files.DEBIAN)
    ports, front = (machine.port, free_port()), free_port()
    apis = [START[name](machine, metrics, port) for port in ports]
    config = machine.root / "haproxy.cfg"
    text = (ETC / "haproxy/masakari-api.cfg").read_text().replace(":15869", f"127.0.0.1:{front}")
    for n, port in enumerate(ports, 1):
        text = text.replace(f"controller{n}:15868", f"127.0.0.1:{port}")
    config.write_text(text)
    for port in ports:
        wait(f"port {port} answers", lambda port=port: answers(port), 60)
    proxy = Started([HAPROXY, "-db", "-f", config], machine.root / "haproxy.log").start()
    try:
        wait("HAProxy answers", lambda: answers(front), 60)
        load = Load(front, PATH, TOKEN)
        wait("there is load", lambda: len(load.answers) > RATE, 30)
        for n, port in enumerate(ports):
            stop(Served(machine, apis[n], metrics))
            START[name](machine, metrics, port)
            wait(f"port {port} answers", lambda port=port: answers(port), 60)
            count = len(load.answers)  # HAProxy looks each second
            wait("HAProxy has seen it", lambda n=count: len(load.answers) > n + 3 * RATE, 30)
        tell(record_property, f"two in {name} behind HAProxy, each restarted", load)
    finally:
        proxy.kill()
    assert load.failures == load.refused == []
    assert set(load.answers) == {200}


def tell(record_property, what: str, load: Load) -> None:
    rate = load.end()
    record_property(
        TOLD_AT_THE_END,
        f"{what} under {RATE} requests/s: {len(load.answers)} answered, "
        f"{len(load.failures) + len(load.refused)} failed ({rate:.0f} answers/s)",
    )


def answers(port: int) -> bool:
    try:
        return get(port, PATH, TOKEN) == 200
    except OSError:
        return False


def test_guide_shows_the_files_of_etc() -> None:
    guide = (ETC.parent / "doc/source/admin/installation.rst").read_text()

    shown = re.findall(r"literalinclude:: \.\./\.\./\.\./etc/(\S+)", guide)
    assert {name for name in shown if (ETC / name).is_file()} >= {
        "uwsgi/masakari-api.ini",
        "gunicorn/masakari-api.conf.py",
        "apache2/masakari-api.conf",
        "haproxy/masakari-api.cfg",
    }
