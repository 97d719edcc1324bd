"""What one worker process of the REST API can do: requests per second, one line a request.

    python bench/api.py                     10k, 100k and 1M notifications, MariaDB, Keystone
    python bench/api.py --quick             about three minutes: 100k, shorter loads
    python bench/api.py --server uwsgi      under uWSGI instead of masakari-api
    python bench/api.py --driver mysqldb    with mysqlclient instead of PyMySQL
    python bench/api.py --one-cpu           with masakari_api_pin_workers
    python bench/api.py --profile           besides, what the CPU time went to (needs py-spy)
    python bench/api.py --url URL --token-file FILE --pid PID

The last form measures a server that runs already, with the data that it has: of a segment of its
own, nothing else is written.  Rates stand beside those of OpenStack's Masakari 22.0.0, which were
measured on two AMD EPYC cores, and rates of two calibrations, by which machines are compared.

Exit status: 0; 1 if a target is missed or a request failed; 2 if no run was possible.
"""

import argparse
import dataclasses
import datetime
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence

import load
import psutil  # type: ignore[import-untyped]
import requests
from costs import Kinds, Sampler
from stack import Masakari, Stack, Unusable, free_port
from usage import Load, peak_rss

from masakari.tests import servers

MIB = 1 << 20
BUFFER = 1 << 30
"""Bytes of MariaDB's buffer pool; tests start it with less."""
RSS_MIB = 110
"""Target: resident memory of the worker."""
SPREAD = 1.3
"""Target: on a larger table a request takes at most so many times as long."""
COUNTED = 5
"""Requests of which the statements are counted."""

KINDS: Kinds = (
    ("Keystone's token: keystonemiddleware", ("/keystonemiddleware/", "/keystoneauth1/")),
    ("database: SQLAlchemy, oslo.db, driver", ("/sqlalchemy/", "/oslo_db/", "/pymysql/", "MySQL")),
    ("policy", ("/oslo_policy/",)),
    ("request and response: WebOb, Routes", ("/webob/", "/routes/", "/oslo_middleware/")),
    ("logging", ("/oslo_log/", "/logging/")),
    ("JSON", ("json/encoder", "json/decoder", "jsontext.py")),
    ("HTTP server: cheroot", ("/cheroot/",)),
    ("the API's own code", ("masakari/",)),
)


@dataclasses.dataclass(frozen=True)
class Row:
    """A request, on some data."""

    name: str
    path: str
    openstack: tuple[float, float]
    """requests per second of OpenStack's Masakari, at 1 and 16 connections; 0: not measured"""
    target: tuple[float, float] = (0, 0)
    """requests per second"""
    statements: int = 2
    """at most"""
    body: str | None = None
    than: str | None = None
    """the row, on a smaller table, that this one is compared with"""


VERSION = Row("GET version", "/", (1257, 1243), statements=0)
SEGMENTS_10 = Row("GET segments (10)", "/segments", (312, 331), (0, 3 * 331))
SEGMENTS_1000 = Row("GET segments (1000)", "/segments", (18.0, 16.0), (72, 64))
HOSTS_10 = Row("GET hosts (10)", "/segments/TEN/hosts", (96, 208))
HOSTS_100 = Row("GET hosts (100)", "/segments/HUNDRED/hosts", (17.9, 70))
OPENSTACK = {
    "1000 of {}": {"10k": (6.5, 7.0), "100k": (8.6, 8.3)},
    "limit=100 of {}": {"10k": (15.9, 80), "100k": (12.6, 48)},
    "status=new (none) of {}": {"10k": (297, 345), "100k": (55.6, 101)},
}
REPORT = json.dumps(
    {
        "notification": {
            "type": "VM",
            "hostname": "bench-ten-HOST",
            "generated_time": "TIME",
            "payload": {
                "event": "LIFECYCLE",
                "instance_uuid": "INSTANCE",
                "vir_domain_event": "STOPPED_FAILED",
            },
        }
    }
)
POST = Row("POST notification (empty)", "/notifications", (70, 58), (350, 290), 5, REPORT)
POST_100K = dataclasses.replace(
    POST, name="POST notification (100k)", openstack=(26.9, 27.1), than=POST.name
)
SIZES = {"10k": 10_000, "100k": 100_000, "1M": 1_000_000}


def of_notifications(size: str, smaller: str | None) -> list[Row]:
    """The lists of a table with *size* rows; those of *smaller* came before."""
    rows = []
    for name, path in (
        ("1000 of {}", "/notifications"),
        ("limit=100 of {}", "/notifications?limit=100"),
        ("status=new (none) of {}", "/notifications?status=new"),
    ):
        row = Row(name.format(size), path, OPENSTACK[name].get(size, (0, 0)))
        if path == "/notifications" and size == "100k":
            row = dataclasses.replace(row, target=(52, 50))
        if smaller is not None and (path != "/notifications?limit=100"):
            row = dataclasses.replace(row, than=name.format(smaller))
        rows.append(row)
    return rows


# ---- the data, made by the server itself

AGO = "UTC_TIMESTAMP() - INTERVAL 40 DAY + INTERVAL seq SECOND"
EMPTY = [
    f"DELETE FROM masakari.{table}" for table in ("notifications", "hosts", "failover_segments")
]


def segments(first: int, last: int) -> str:
    """SQL that makes segments with these numbers."""
    return (
        "INSERT INTO masakari.failover_segments (created_at, deleted, uuid, name, service_type,"
        " enabled, description, recovery_method)"
        f" SELECT {AGO}, 0, UUID(), CONCAT('segment-', seq), 'COMPUTE', 1,"
        f" 'a segment of the benchmark', 'auto' FROM seq_{first}_to_{last}"
    )


def hosts(segment: str, prefix: str, count: int) -> str:
    """SQL that gives a segment hosts."""
    return (
        "INSERT INTO masakari.hosts (created_at, deleted, uuid, name, reserved, type,"
        " control_attributes, on_maintenance, failover_segment_id)"
        f" SELECT {AGO}, 0, UUID(), CONCAT('{prefix}', seq), 0, 'COMPUTE', 'SSH', 0,"
        f" (SELECT uuid FROM masakari.failover_segments WHERE name = '{segment}')"
        f" FROM seq_1_to_{count}"
    )


def notifications(first: int, last: int) -> str:
    """SQL that makes notifications with these numbers, of the hundred hosts in turn."""
    return (
        "INSERT INTO masakari.notifications (created_at, updated_at, deleted, notification_uuid,"
        " generated_time, source_host_uuid, type, payload, status, failover_segment_uuid)"
        f" SELECT {AGO}, {AGO}, 0, UUID(), {AGO}, h.uuid, 'VM',"
        """ CONCAT('{"event": "LIFECYCLE", "instance_uuid": "', UUID(),"""
        """ '", "vir_domain_event": "STOPPED_FAILED"}'), 'finished', h.failover_segment_id"""
        f" FROM seq_{first}_to_{last} JOIN masakari.hosts h"
        " ON h.name = CONCAT('bench-hundred-', 1 + MOD(seq, 100))"
    )


def stages(quick: bool) -> Iterator[tuple[list[str], list[Row]]]:
    """(SQL, what to measure then), one after the other."""
    few = [
        *EMPTY,
        segments(1, 10),
        hosts("segment-1", "bench-ten-", 10),
        hosts("segment-2", "bench-hundred-", 100),
    ]
    yield few, [VERSION, SEGMENTS_10, HOSTS_10, HOSTS_100, POST]
    yield ["DELETE FROM masakari.notifications", segments(11, 1000)], [SEGMENTS_1000]
    there, before = 0, None
    for size in ("10k", "100k") if quick else SIZES:
        fill = [notifications(there + 1, SIZES[size]), "ANALYZE TABLE masakari.notifications"]
        yield fill, of_notifications(size, before)
        if size == "100k":
            # reports of the benchmark are new: they go before lists are measured again
            yield [], [POST_100K]
            yield ["DELETE FROM masakari.notifications WHERE status = 'new'"], []
        there, before = SIZES[size], size


# ---- one request


@dataclasses.dataclass(frozen=True)
class Run:
    """A row, measured."""

    row: Row
    loads: tuple[load.Measured, load.Measured]
    """at 1 and 16 connections"""
    cpu_ms: float | None
    """of the worker, per request, at 16 connections"""
    statements: float | None
    others_cores: float

    def line(self) -> str:
        """All of it on one line."""
        cells = [f"{self.row.name:32}"]
        for one, openstack in zip(self.loads, self.row.openstack, strict=True):
            times = f"{one.rate / openstack:5.1f}x" if openstack else "     -"
            cells.append(
                f"{one.rate:7.1f}/s {times}  p50 {one.p50_ms:7.2f}  p99 {one.p99_ms:7.2f} ms"
            )
        cells.append("CPU     -" if self.cpu_ms is None else f"CPU {self.cpu_ms:6.2f} ms")
        cells.append("SQL -" if self.statements is None else f"SQL {self.statements:g}")
        if self.others_cores > 0.1:
            cells.append(f"busy: others used {self.others_cores:.1f} cores")
        return " | ".join(cells)


class Bench:
    """The server under test, and how it is asked."""

    def __init__(
        self, masakari: Masakari, stack: Stack | None, directory: pathlib.Path, seconds: int
    ) -> None:
        """Ask *masakari* for *seconds* at a time; *stack* is None if it is not ours."""
        self.masakari, self.stack, self.directory, self.seconds = (
            masakari,
            stack,
            directory,
            seconds,
        )

    def measure(self, row: Row, profile: bool) -> Run:
        """Count the statements, then put load on it."""
        url, body = self._url(row), None
        if row.body is not None:
            now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
            body = row.body.replace("TIME", now.isoformat(timespec="seconds"))
        self._put(url, body, 1, 1)
        # what an earlier load left behind is counted, too: the smallest of three
        counts = [self._statements(url, body) for _ in range(3)]
        statements = min((n for n in counts if n is not None), default=None)
        one = self._put(url, body, 1, self.seconds)
        usage = Load(self.masakari.engine)
        sampler = None
        if profile and self.masakari.engine is not None:
            files = self.directory / "samples", self.directory / "py-spy.log"
            sampler = Sampler(self.masakari.engine.pid, *files)
        many = self._put(url, body, 16, self.seconds)
        cpu_s, others = usage.engine_s(), usage.others_cores()
        cpu_ms = None if cpu_s is None else 1000 * cpu_s / max(many.requests, 1)
        run = Run(row, (one, many), cpu_ms, statements, others)
        print(run.line(), flush=True)
        if sampler is not None:
            for cost in sampler.stop(KINDS):
                print(f"    {cost.share:4.0%}  {cost.kind}")
        return run

    def _put(self, url: str, body: str | None, connections: int, seconds: int) -> load.Measured:
        token = str(self.masakari.api.headers["X-Auth-Token"])
        return load.put(
            url,
            self.directory,
            token=token,
            connections=connections,
            seconds=seconds,
            body=body,
        )

    def _url(self, row: Row) -> str:
        path = row.path
        for word, name in (("TEN", "segment-1"), ("HUNDRED", "segment-2")):
            if word in path:
                found = self.masakari.call("GET", "/segments")["segments"]
                uuid = next(s["uuid"] for s in found if s["name"] == name)
                path = path.replace(word, uuid)
        return self.masakari.url + path

    def _statements(self, url: str, body: str | None) -> float | None:
        """Of a request; MariaDB writes its general log only meanwhile."""
        if self.stack is None or self.stack.statements is None:
            return None
        self.stack.execute("SET GLOBAL general_log = 1")
        self.stack.statements.mark()
        for _ in range(COUNTED):
            if body is None:
                answer = self.masakari.api.get(url, timeout=60)
            else:
                text = body.replace("INSTANCE", str(uuid.uuid4())).replace("HOST", "1")
                headers = {"Content-Type": "application/json"}
                answer = self.masakari.api.post(url, text, headers=headers, timeout=60)
            if not answer.ok:
                raise Unusable(f"{url}: {answer.status_code} {answer.text[:500]}")
        counts = self.stack.statements.counts()
        self.stack.execute("SET GLOBAL general_log = 0")
        # who connected while the log was off has no name in it
        return sum(counts[user].total() for user in ("api", "?") if user in counts) / COUNTED


# ---- all of them


def missed(runs: Sequence[Run], rss: float | None) -> list[str]:
    """A sentence for each target that is not met."""
    sentences = []
    by_name = {run.row.name: run for run in runs}
    for run in runs:
        row = run.row
        for one, target, connections in zip(run.loads, row.target, (1, 16), strict=True):
            if one.bad:
                sentences.append(f"{row.name}: {one.bad} of {one.requests} requests failed")
            if one.rate < target:
                sentences.append(
                    f"{row.name}: {one.rate:.1f}/s at {connections}, target {target:g}/s"
                )
        if run.statements is not None and run.statements > row.statements:
            sentences.append(
                f"{row.name}: {run.statements:g} SQL statements, target {row.statements}"
            )
        smaller = by_name.get(row.than or "")
        if smaller is not None and run.loads[0].rate * SPREAD < smaller.loads[0].rate:
            sentences.append(
                f"{row.name}: {smaller.loads[0].rate / run.loads[0].rate:.2f} times as slow as "
                f"{smaller.row.name}, target {SPREAD}"
            )
    if rss is not None and rss > RSS_MIB:
        sentences.append(f"resident memory of the worker {rss:.0f} MiB, target {RSS_MIB}")
    return sentences


def loop() -> float:
    """How often a second this Python does some fixed work; the best of several tries."""
    best = 0.0
    for _ in range(20):
        began = time.perf_counter()
        words = {}
        for number in range(20_000):
            word = str(number)
            words[word] = (number, word.encode())
        best = max(best, 1 / (time.perf_counter() - began))
    return best


TRIVIAL = """
import sys
import masakari.cmd
from oslo_config import cfg
from oslo_service import opts
from masakari.cmd import options, server
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]
conf = cfg.ConfigOpts()
opts.register_service_opts(conf)
options.register_api(conf)
conf([])
server.Server(conf, application, server.listen("127.0.0.1", int(sys.argv[1]))).serve_forever()
"""


def calibrate(stack: Stack, seconds: int) -> None:
    """Print what the machine does, whatever Masakari does."""
    port = free_port()
    with stack.program("calibration", ["-c", TRIVIAL, str(port)], port):
        rates = [
            load.put(
                f"http://127.0.0.1:{port}/",
                stack.directory,
                token="",
                connections=connections,
                seconds=seconds,
            ).rate
            for connections in (1, 16)
        ]
    print(
        f"calibration: a fixed loop {loop():.1f}/s; an application that says hello, "
        f"on our HTTP server, {rates[0]:.0f}/s at 1, {rates[1]:.0f}/s at 16",
        flush=True,
    )


def bench_ours(arguments: argparse.Namespace) -> list[str]:
    """What was missed by a server that is started here."""
    runs: list[Run] = []
    with (
        Stack(database="mariadb", bus="fake", standalone=False, sim_port=0) as stack,
        stack.api(arguments.driver, arguments.server, one_cpu=arguments.one_cpu) as masakari,
    ):
        stack.execute(
            "SET GLOBAL general_log = 0", f"SET GLOBAL innodb_buffer_pool_size = {BUFFER}"
        )
        calibrate(stack, arguments.seconds)
        bench = Bench(masakari, stack, stack.directory, arguments.seconds)
        for statements, rows in stages(arguments.quick):
            stack.execute(*statements)
            chosen = [row for row in rows if arguments.only in row.name]
            runs += [bench.measure(row, arguments.profile) for row in chosen]
        rss = masakari.engine.memory_info().rss / MIB if masakari.engine else None
        peak = (peak_rss(masakari.engine) or 0) / MIB
        print(f"worker: {rss:.0f} MiB resident, {peak:.0f} MiB at its peak")
    return missed(runs, rss)


def bench_other(arguments: argparse.Namespace) -> list[str]:
    """What was missed by a server that runs already."""
    engine = psutil.Process(arguments.pid) if arguments.pid else None
    print(f"calibration: a fixed loop {loop():.1f}/s")
    with requests.Session() as session, tempfile.TemporaryDirectory() as directory:
        session.headers["X-Auth-Token"] = arguments.token_file.read_text().strip()
        masakari = Masakari(session, arguments.url.rstrip("/"), engine, None)
        bench = Bench(masakari, None, pathlib.Path(directory), arguments.seconds)
        rows = [
            VERSION,
            dataclasses.replace(SEGMENTS_10, name="GET segments", target=(0, 0)),
            *(dataclasses.replace(row, target=(0, 0)) for row in of_notifications("all", None)),
        ]
        runs = [bench.measure(row, arguments.profile) for row in rows]
    return missed(runs, None)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="bench/api.py",
        description=__doc__.partition("\n\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="no million of notifications, loads of 2 s")
    add("--seconds", type=int, help="of each load; default: 4, or 2 with --quick")
    add("--only", default="", help="rows with this in their name", metavar="TEXT")
    add("--server", choices=("masakari-api", "uwsgi"), default="masakari-api")
    add("--driver", choices=("pymysql", "mysqldb"), default="pymysql", help="of MariaDB")
    add("--one-cpu", action="store_true", help="masakari_api_pin_workers")
    add("--profile", action="store_true", help="what the CPU time went to (needs py-spy)")
    add("--url", help="of a server that runs already, with /v1")
    add("--token-file", type=pathlib.Path, help="with a token for it")
    add("--pid", type=int, help="of its worker, for CPU time")
    arguments = parser.parse_args(argv)
    if arguments.url and not arguments.token_file:
        parser.error("--url needs --token-file")
    arguments.seconds = arguments.seconds or (2 if arguments.quick else 4)
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status."""
    arguments = parse(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        load.wrk()
        sentences = bench_other(arguments) if arguments.url else bench_ours(arguments)
    except (Unusable, servers.StartError, FileNotFoundError, subprocess.CalledProcessError) as e:
        sys.stderr.write(f"{e}\n")
        return 2
    for sentence in sentences:
        print(f"MISSED  {sentence}")
    return 1 if sentences else 0


if __name__ == "__main__":
    sys.exit(main())
