"""How long /metrics takes with 10,000 series, over HTTP on loopback.

python bench/metrics.py [SERIES]
"""

import statistics
import sys
import time
import urllib.request

from masakari import exposition, metrics
from masakari.cmd import health, server
from masakari.metrics import Program

RUNS = 20


def main() -> None:
    """Print it."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    meter, render = exposition.of_process((Program.API,), "masakari-api", "bench")
    each = len(metrics.API_SECONDS.buckets_s) + 3  # +Inf, count, sum
    for number in range(wanted // each + 1):
        meter.observe(metrics.API_SECONDS, 0.02, f"GET /operation/{number}")
    listener = server.listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    endpoint = health.Endpoint(listener, None, render, None)
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
