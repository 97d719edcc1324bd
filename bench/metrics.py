"""How long /metrics takes with 10,000 series, over HTTP on loopback.

python bench/metrics.py [SERIES] [--workers N]

With workers, as many processes have written each of the series into files of one directory, as
those of masakari-api do, and the answer is their sum.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

from masakari import exposition, metrics
from masakari.clock import SystemClock
from masakari.cmd import health, server
from masakari.metrics import Program

RUNS = 20


def observe(meter: metrics.Meter, wanted: int) -> None:
    """So many series, at least, have values."""
    each = len(metrics.API_SECONDS.buckets_s) + 3  # +Inf, count, sum
    for number in range(wanted // each + 1):
        meter.observe(metrics.API_SECONDS, 0.02, f"GET /operation/{number}")


def made_by_workers(wanted: int, count: int, directory: str) -> exposition.Render:
    """What shows the sum of *count* processes, which have ended."""
    environment = os.environ | {exposition.MULTIPROC_DIR: directory}
    argv = [sys.executable, __file__, str(wanted), "--as-worker"]
    for _ in range(count):
        subprocess.run(argv, env=environment, check=True)
    return exposition.of_all_workers(pathlib.Path(directory), "masakari-api", "bench")


def main() -> None:
    """Print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("series", type=int, nargs="?", default=10_000)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--as-worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.as_worker:
        observe(exposition.of_worker((Program.API,)), given.series)
        return
    with tempfile.TemporaryDirectory() as directory:
        if given.workers:
            render = made_by_workers(given.series, given.workers, directory)
        else:
            meter, render = exposition.of_process((Program.API,), "masakari-api", "bench")
            observe(meter, given.series)
        measure(render)


def measure(render: exposition.Render) -> None:
    """Ask for it again and again."""
    listener = server.listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    vitals = health.Vitals(SystemClock(), needs=())
    endpoint = health.Endpoint(listener, vitals, render, None)
    endpoint.start()
    took = []
    render()
    began_s = time.thread_time()
    render()
    alone_s = time.thread_time() - began_s
    cpu_s = time.process_time()
    for _ in range(RUNS):
        began = time.perf_counter()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            text = answer.read()
        took.append((time.perf_counter() - began) * 1000)
    cpu_s = time.process_time() - cpu_s
    endpoint.close()
    series = sum(not line.startswith(b"#") for line in text.splitlines())
    print(
        f"{series} series, {len(text) / 1024:.0f} KiB: median {statistics.median(took):.0f} ms, "
        f"longest {max(took):.0f} ms of {RUNS}; "
        f"CPU {cpu_s * 1000 / RUNS:.0f} ms each, the caller's too; to make the text "
        f"{alone_s * 1000:.0f} ms"
    )


if __name__ == "__main__":
    main()
