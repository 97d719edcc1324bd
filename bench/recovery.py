"""How fast, and at which price, a dead host is recovered: one line a run.

    python bench/recovery.py                      500 VMs, MariaDB, RabbitMQ, the simulated cloud
    python bench/recovery.py --vms 100,2000       two runs, and the growth of memory between them
    python bench/recovery.py --profile            besides, what the engine's CPU time went to
    python bench/recovery.py --api-url URL --sim-port 21080 --engine-pid PID

The last form drives a server that runs already, OpenStack's for example, and that uses the
simulated cloud on the given port: Keystone at /v3, Nova at /compute/v2.1 (user masakari, password
secret, project service).

Exit status: 0; 1 if a target below is missed, a VM did not arrive or one was evacuated twice; 2 if
no run was possible.
"""

import argparse
import collections
import contextlib
import dataclasses
import datetime
import itertools
import pathlib
import signal
import statistics
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence

import psutil  # type: ignore[import-untyped]
import requests
from costs import Sampler
from results import Run
from stack import Masakari, Simulation, Stack, Unusable
from usage import Load, peak_rss

from masakari.tests import servers

KIB = 1 << 10
FINAL = ("finished", "failed", "ignored")
DESTINATIONS = 10
"""Hosts to which the VMs go."""


@dataclasses.dataclass(frozen=True)
class Target:
    """What is promised: *value* of a run is at most *limit*."""

    name: str
    unit: str
    limit: float
    value: Callable[[Run], float | None]
    """None: not measured"""
    at_least: int = 0
    """VMs; with fewer the fixed costs of a recovery prevail"""


TARGETS = (
    Target("last VM after 'service down'", "x optimum", 1.15, lambda r: r.ratio, 500),
    Target("Nova requests", "per VM", 4.5, lambda r: r.nova, 500),
    Target("of them polling", "per VM", 0.5, lambda r: r.polling, 500),
    Target("Keystone requests", "per VM", 0.1, lambda r: r.keystone, 100),
    Target("SQL statements", "per VM", 8, lambda r: r.sql, 500),
    Target("CPU of the engine", "ms per VM", 15, lambda r: r.cpu_ms, 500),
    Target("memory of the engine", "MiB resident", 200, lambda r: r.rss_mib),
    Target("VMs evacuated twice", "VMs", 0, lambda r: r.doubled),
    Target("VMs that did not arrive", "VMs", 0, lambda r: r.lost),
)
GROWTH_KIB = 20
"""Target: growth of the engine's peak memory from the smallest to the largest run, KiB per VM."""
GROWTH_SPAN = 1000
"""The two runs differ by at least so many VMs."""


# ---- one run


def measure(arguments: argparse.Namespace, stack: Stack, masakari: Masakari, vms: int) -> Run:
    """Let a host with *vms* VMs die and watch."""
    simulation, prefix = stack.simulation, f"c{uuid.uuid4().hex[:6]}"
    host = f"{prefix}-1"
    simulation.call(
        "POST",
        "reset",
        {
            "hosts": 1 + DESTINATIONS,
            "load": {host: vms},
            "prefix": prefix,
            "evac_time": arguments.evacuation,
            "latency": arguments.latency,
            "keystone_latency": arguments.latency,
            "service_down_time": 100_000,  # it goes down when we say so
        },
    )
    masakari.api.headers["X-Auth-Token"] = simulation.token()
    _register(masakari, prefix, host)
    if stack.statements is not None:
        stack.statements.mark()
    simulation.call("POST", "clear", {})
    sampler = None
    if arguments.profile and masakari.engine is not None:
        samples = arguments.samples or stack.directory / "samples"
        sampler = Sampler(masakari.engine.pid, samples, stack.directory / "py-spy.log")
        time.sleep(1)
    load = Load(masakari.engine)
    notification, reported, down = _kill(arguments, simulation, masakari, host)
    status, finished = _await_end(arguments, simulation, masakari, notification, vms)
    cpu_s, others = load.engine_s(), load.others_cores()
    costs = sampler.stop() if sampler is not None else []
    stats, ledger = simulation.call("GET", "stats"), simulation.call("GET", "ledger")
    asked = [_timestamp(e["at"]) for e in ledger["evacuations"]]
    last = max(asked, default=finished) + arguments.evacuation
    return Run(
        vms=vms,
        parallel=arguments.parallel,
        evacuation_s=arguments.evacuation,
        status=status,
        finished_s=finished - reported,
        last_vm_s=last - max(down, reported),
        first_s=min(asked, default=finished) - max(down, reported),
        refill_s=_refill(sorted(asked), arguments.parallel, arguments.evacuation),
        requests=collections.Counter(stats["kinds"]),
        peak=_peak(asked, arguments.evacuation),
        doubled=stats["evacuations"]["twice"] + len(ledger["violations"]),
        lost=stats["by_host"][host] + len(ledger["left_locked"]),
        statements=stack.statements.counts() if stack.statements is not None else None,
        cpu_s=cpu_s,
        rss=peak_rss(masakari.engine),
        others_cores=others,
        costs=costs,
    )


def _register(masakari: Masakari, segment: str, host: str) -> None:
    row = {"name": segment, "recovery_method": "auto", "service_type": "COMPUTE"}
    made = masakari.call("POST", "/segments", {"segment": row})
    path = f"/segments/{made['segment']['uuid']}/hosts"
    attributes = {"name": host, "type": "COMPUTE", "control_attributes": "bench"}
    masakari.call("POST", path, {"host": attributes})


def _kill(
    arguments: argparse.Namespace, simulation: Simulation, masakari: Masakari, host: str
) -> tuple[str, float, float]:
    """(uuid of the notification, when it was sent, when Nova saw the service down)."""
    simulation.call("POST", f"hosts/{host}/power_off", {})
    reported = time.time()
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    notification = {
        "type": "COMPUTE_HOST",
        "hostname": host,
        "generated_time": now.isoformat(),
        "payload": {"event": "STOPPED", "host_status": "NORMAL", "cluster_status": "OFFLINE"},
    }
    made = masakari.call("POST", "/notifications", {"notification": notification})
    time.sleep(max(0.0, reported + arguments.down_after - time.time()))
    down = time.time()
    simulation.call("PUT", f"hosts/{host}", {"state": "down"})
    return made["notification"]["notification_uuid"], reported, down


def _await_end(
    arguments: argparse.Namespace,
    simulation: Simulation,
    masakari: Masakari,
    notification: str,
    vms: int,
) -> tuple[str, float]:
    """(final status, when).  The API is asked seldom until the VMs have arrived."""
    end = time.time() + arguments.timeout
    for count in itertools.count():
        evacuations = simulation.call("GET", "stats")["evacuations"]
        arrived = evacuations["statuses"].get("done", 0) >= vms
        if arrived or count % 10 == 9:
            found = masakari.call("GET", f"/notifications/{notification}")["notification"]
            if found["status"] in FINAL or time.time() > end:
                return found["status"], time.time()
        time.sleep(0.05 if arrived else 0.25)
    raise AssertionError


def _timestamp(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()


def _refill(began: Sequence[float], parallel: int, lasts_s: float) -> float:
    """Median of the seconds for which a place among those in flight stayed empty."""
    gaps = [at - before - lasts_s for before, at in zip(began, began[parallel:], strict=False)]
    return statistics.median(gaps) if gaps else 0.0


def _peak(began: Sequence[float], lasts_s: float) -> int:
    """How many were under way at once, at most; ends come before beginnings."""
    changes = sorted([(at, 1) for at in began] + [(at + lasts_s, -1) for at in began])
    return max(itertools.accumulate(change for _, change in changes), default=0)


# ---- all runs


def runs(arguments: argparse.Namespace, stack: Stack) -> Iterator[Run]:
    """Each with a fresh engine of ours, or with the one that runs already."""
    for vms in arguments.vms:
        for _ in range(arguments.repeat):
            with subject(arguments, stack) as masakari:
                yield measure(arguments, stack, masakari, vms)
            if arguments.keep_log and masakari.log is not None:
                sys.stderr.write(masakari.log.read_text())


@contextlib.contextmanager
def subject(arguments: argparse.Namespace, stack: Stack) -> Iterator[Masakari]:
    """The server under test."""
    if arguments.api_url is None:
        options: dict[str, dict[str, object]] = {
            "DEFAULT": {"host_failure_recovery_threads": arguments.parallel}
        }
        for text in arguments.option:
            name, _, value = text.partition("=")
            group, _, name = name.rpartition(".")
            options.setdefault(group or "DEFAULT", {})[name] = value
        with stack.masakari(options) as masakari:
            yield masakari
        return
    engine = psutil.Process(arguments.engine_pid) if arguments.engine_pid else None
    with requests.Session() as session:
        yield Masakari(session, arguments.api_url.rstrip("/"), engine, None)


def missed(runs_: Sequence[Run]) -> list[str]:
    """A sentence for each target that the median of equal runs does not reach."""
    sentences: list[str] = []
    sizes = sorted({run.vms for run in runs_})
    for vms in sizes:
        equal = [run for run in runs_ if run.vms == vms]
        sentences += [
            f"{vms} VMs: status {run.status}" for run in equal if run.status != "finished"
        ]
        for target in TARGETS:
            values = [v for v in map(target.value, equal) if v is not None]
            if vms >= target.at_least and values and statistics.median(values) > target.limit:
                sentences.append(
                    f"{vms} VMs: {target.name} {statistics.median(values):.3g} {target.unit}, "
                    f"target {target.limit:g}"
                )
    growth = memory_growth(runs_)
    if growth is not None and growth > GROWTH_KIB:
        sentences.append(f"memory grows by {growth:.1f} KiB per VM, target {GROWTH_KIB}")
    return sentences


def memory_growth(runs_: Sequence[Run]) -> float | None:
    """KiB per VM, by the medians of the smallest and the largest runs."""
    sizes = sorted({run.vms for run in runs_ if run.rss is not None})
    if len(sizes) < 2 or sizes[-1] - sizes[0] < GROWTH_SPAN:
        return None
    low, high = (
        statistics.median([run.rss for run in runs_ if run.vms == vms and run.rss is not None])
        for vms in (sizes[0], sizes[-1])
    )
    return (high - low) / KIB / (sizes[-1] - sizes[0])


def tell_more(run: Run) -> None:
    """What the line has no room for."""
    for user, counts in (run.statements or {}).items():
        for statement, count in counts.most_common(12):
            print(f"    SQL {user:8} {count / run.vms:7.3f}/VM  {statement[:150]}")


def tell_costs(run: Run) -> None:
    """The largest costs, three of them with the functions that cause them."""
    for rank, cost in enumerate(run.costs):
        ms = (run.cpu_ms or 0.0) * cost.share
        print(f"    {cost.share:4.0%}  {ms:5.2f} ms/VM  {cost.kind}")
        for function, share in cost.within if rank < 3 else ():
            print(f"          {share:4.0%}  {function}")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="bench/recovery.py",
        description=__doc__.partition("\n\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--vms", type=_numbers, default="500", help="on the host; several: 100,500,1000,2000")
    add("--evacuation", type=float, default=2, help="seconds that each takes in Nova")
    add("--latency", type=float, default=0.02, help="seconds, of Nova's and Keystone's answers")
    add("--parallel", type=int, default=50, help="evacuations at a time")
    add("--down-after", type=float, default=2, help="seconds from report until service down")
    add("--repeat", type=int, default=1, help="runs of each size; targets are met by medians")
    add("--timeout", type=float, default=600, help="seconds for one run")
    add("--db", choices=("mariadb", "sqlite"), default="mariadb")
    add("--bus", choices=("rabbit", "fake"), default="rabbit", help="fake: found by the sweep")
    add("--standalone", action="store_true", help="masakari-standalone, with its own bus")
    add("--option", action="append", default=[], help="of Masakari, [GROUP.]NAME=VALUE; repeatable")
    add("--profile", action="store_true", help="what the CPU time went to (needs py-spy)")
    add("--samples", type=pathlib.Path, help="file for the profile's samples (collapsed stacks)")
    add("--verbose", action="store_true", help="SQL statements by kind")
    add("--keep-log", action="store_true", help="print the engine's log on stderr")
    add("--api-url", help="of a Masakari API that runs already, such as http://HOST:15868/v1")
    add("--engine-pid", type=int, help="of its engine, for CPU and memory")
    add("--sim-port", type=int, default=0, help="of the simulated cloud; 0: a free one")
    return parser.parse_args(argv)


def _numbers(text: str) -> list[int]:
    numbers = [int(number) for number in text.split(",")]
    if min(numbers) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: the host that dies has at least one VM")
    return numbers


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status."""
    arguments = parse(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    done: list[Run] = []
    try:
        with Stack(
            database=arguments.db,
            bus=arguments.bus,
            standalone=arguments.standalone,
            sim_port=arguments.sim_port,
        ) as stack:
            for run in runs(arguments, stack):
                done.append(run)
                print(run.line(), flush=True)
                if arguments.verbose:
                    tell_more(run)
                tell_costs(run)
    except (Unusable, servers.StartError, FileNotFoundError) as e:
        sys.stderr.write(f"{e}\n")
        return 2
    growth = memory_growth(done)
    if growth is not None:
        print(f"memory: {growth:.1f} KiB per VM from the smallest run to the largest")
    sentences = missed(done)
    for sentence in sentences:
        print(f"MISSED  {sentence}")
    return 1 if sentences else 0


if __name__ == "__main__":
    sys.exit(main())
