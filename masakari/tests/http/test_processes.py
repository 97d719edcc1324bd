"""masakari-api as a process, and the module that WSGI servers load."""

import collections
import contextlib
import http.client
import os
import pathlib
import signal
import socket
import subprocess
import sys

import pytest
from oslo_config import cfg

import masakari.conf
from masakari.clock import SystemClock, wait_until
from masakari.cmd import api, common
from masakari.errors import ConfigInvalid

PATIENCE_S = 60
PROGRAM = "import sys; from masakari.cmd.api import main; sys.exit(main())"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture
def config(migrated_conf, tmp_path):
    """Writes masakari.conf with changes to what works; returns its path."""

    def write(changes="", port=None, **replaced):
        values = {
            "auth_strategy": "noauth2",
            "masakari_api_listen": "127.0.0.1",
            "masakari_api_listen_port": port or free_port(),
            "masakari_api_workers": 2,
            "transport_url": "fake://",
        } | replaced
        lines = [f"{name} = {value}" for name, value in values.items()]
        path = tmp_path / "masakari.conf"
        path.write_text(
            "[DEFAULT]\n"
            + "\n".join(lines)
            + f"\n[database]\nconnection = {migrated_conf.database.connection}\n"
            + "[keystone_authtoken]\nauth_type = password\nauth_url = http://127.0.0.1:1/v3\n"
            + "username = u\npassword = p\nproject_name = service\n"
            + changes
        )
        return path

    return write


@pytest.fixture
def start(tmp_path):
    """Starts masakari-api; what it says is in the file `log`."""
    with contextlib.ExitStack() as stack:

        def run(path):
            log = stack.enter_context((tmp_path / "log").open("wb"))
            process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, "--config-file", str(path)],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            stack.callback(process.wait, PATIENCE_S)
            stack.callback(process.kill)
            stack.callback(stop_all, process)
            return process

        yield run


def stop_all(process):
    """Its workers with it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def is_listening(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    with contextlib.closing(connection):
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()


def eventually(predicate):
    return wait_until(SystemClock(), predicate, PATIENCE_S, 0.05)


def test_terminated_process_answers_what_it_has_begun_to_read(config, start):
    port = free_port()
    process = start(config(port=port))
    assert eventually(lambda: is_listening(port))
    assert get(port, "/v1/segments") == (200, b'{"segments":[]}')
    body = b'{"segment": {"name": "a", "recovery_method": "auto", "service_type": "x"}}'
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as client:
        head = f"POST /v1/segments HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + body[:10])
        # a second request that is answered shows that the first one has been read as well
        assert get(port, "/v1/segments")[0] == 200

        process.send_signal(signal.SIGTERM)
        assert eventually(lambda: not is_listening(port))
        client.sendall(body[10:])

        assert client.makefile("rb").readline() == b"HTTP/1.1 201 Created\r\n"
    assert process.wait(PATIENCE_S) == 0


def test_killed_worker_is_replaced(config, start):
    port = free_port()
    process = start(config(port=port, masakari_api_workers=1))
    assert eventually(lambda: is_listening(port) and get(port, "/")[0] == 200)
    (worker,) = map(int, workers(process))

    os.kill(worker, signal.SIGKILL)

    assert eventually(lambda: workers(process) not in ([], [str(worker)]))
    assert get(port, "/")[0] == 200


def workers(process):
    """Process ids; the kernel lists them by thread."""
    return [
        pid
        for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir()
        for pid in (task / "children").read_text().split()
    ]


@pytest.mark.parametrize("is_pinned", [True, False])
def test_workers_stay_on_cpus_of_their_own_if_they_shall(config, start, is_pinned):
    threads, all_cpus = 3, frozenset(os.sched_getaffinity(0))
    process = start(config(masakari_api_pin_workers=is_pinned, masakari_api_threads=threads))
    wanted = {frozenset({cpu}) for cpu in sorted(all_cpus)[:2]} if is_pinned else {all_cpus}

    def are_there():
        serving = [where_most_run(worker) for worker in workers(process)]
        return {cpus for cpus, count in serving if count >= threads} == wanted

    assert eventually(are_there)


def where_most_run(process_id):
    """(CPUs, how many of the threads of the process may run on these and no other)."""
    found = collections.Counter()
    with contextlib.suppress(OSError):  # one has just ended
        for task in pathlib.Path(f"/proc/{process_id}/task").iterdir():
            found[frozenset(os.sched_getaffinity(int(task.name)))] += 1
    return max(found.items(), key=lambda item: item[1], default=(None, 0))


def test_database_that_is_away_is_said_and_does_not_end_the_program(config, start, tmp_path):
    port = free_port()
    path = config(port=port)
    path.write_text(path.read_text().replace("sqlite:///", "mysql+pymysql://u:secret@127.0.0.1:1/"))
    start(path)
    assert eventually(lambda: is_listening(port))

    assert get(port, "/")[0] == 200
    status, body = get(port, "/v1/segments")

    assert status == 503
    assert b"serviceUnavailable" in body
    log = tmp_path / "log"
    assert eventually(lambda: "the database is not available" in log.read_text())
    assert "secret" not in log.read_text()
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ("workers = 2", "workers = 0", "[DEFAULT] masakari_api_workers: "),
        ("[database]\n", "[database\n", "[database"),
    ],
    ids=["value", "syntax"],
)
def test_invalid_configuration_ends_the_program_with_a_sentence(config, before, after, named):
    path = config()
    path.write_text(path.read_text().replace(before, after))

    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, "--config-file", str(path)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )

    assert ended.returncode == os.EX_CONFIG
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("masakari-api: ")
    assert named in last
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ("noauth2", "basic", "[DEFAULT] auth_strategy: "),
        ("fake://", "fax://", "[DEFAULT] transport_url: "),
        ("sqlite:", "sqlit:", "[database] connection: "),
        ("= password", "= passwort", "[keystone_authtoken] auth_type: "),
        ("auth_url = http", "auth_url = ", "[keystone_authtoken] auth_url: "),
    ],
)
def test_invalid_value_is_named_with_its_option(config, before, after, named):
    path = config()
    path.write_text(path.read_text().replace(before, after))
    conf = cfg.ConfigOpts()
    masakari.conf.register(conf)
    conf(["--config-file", str(path)], project="masakari")

    with pytest.raises(ConfigInvalid) as raised:
        common.check(conf)
        api.make_application(conf, SystemClock())

    assert str(raised.value).startswith(named)


CLIENT = """
import sys
import webob
from masakari.wsgi.api import application
for path in sys.argv[1:]:
    response = webob.Request.blank(path).get_response(application)
    print(response.status_int, response.text)
"""


def load(directory, *paths):
    """Load the WSGI module, as a server whose arguments are none of ours."""
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CLIENT, *paths],
        env=os.environ | {"OS_MASAKARI_CONFIG_DIR": str(directory)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    return [line for line in ended.stdout.splitlines() if line[3:4] == " "]  # no log lines


@pytest.mark.parametrize("module", ["masakari.wsgi", "masakari.wsgi.api"])
def test_module_for_wsgi_servers_loads_silently_and_with_threads(module):
    code = f"import {module}; from oslo_service import backend as b; print(b.get_backend_type())"

    loaded = subprocess.run(
        [sys.executable, "-c", code],
        env={name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )

    assert loaded.stdout == "BackendType.THREADING\n"
    assert loaded.stderr == ""


def test_module_for_wsgi_servers_finds_its_configuration(config):
    path = config()

    first, second = load(path.parent, "/", "/v1/segments")

    assert first.startswith('200 {"versions":')
    assert second == '200 {"segments":[]}'


def test_module_for_wsgi_servers_answers_500_when_it_is_not_configured(config):
    path = config(auth_strategy="basic")

    answers = load(path.parent, "/", "/v1/segments")

    assert [answer[:22] for answer in answers] == ['500 {"masakariFault":{'] * 2
