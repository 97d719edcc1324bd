"""What Prometheus reads."""

import os
import subprocess
import sys

import prometheus_client
from prometheus_client import multiprocess
from prometheus_client.parser import text_string_to_metric_families

from masakari import exposition, metrics
from masakari.metrics import METRICS, Program, Stage


def families(render):
    kind, text = render()
    assert kind.startswith("text/plain")
    return {family.name: family for family in text_string_to_metric_families(text.decode())}


def test_what_is_told_is_shown():
    meter, render = exposition.of_process((Program.ENGINE,), "masakari-engine", "1.2")
    meter.count(metrics.TRIES, "VM", "finished", "recovered")
    meter.count(metrics.IN_FLIGHT)
    meter.count(metrics.IN_FLIGHT, by=-1)
    meter.set(metrics.LEASES_HELD, 3)
    meter.observe(metrics.STAGES, 2.0, Stage.VM_ACTIVE)
    shown = families(render)

    (sample, *_) = shown["masakari_notification_tries"].samples
    assert (sample.labels, sample.value) == (
        {"type": "VM", "status": "finished", "reason": "recovered"},
        1,
    )
    assert shown["masakari_leases_held"].samples[0].value == 3
    assert shown["masakari_vm_evacuations_running"].samples[0].value == 0
    buckets = shown["masakari_recovery_stage_duration_seconds"].samples
    assert {s.labels.get("le"): s.value for s in buckets if s.name.endswith("_bucket")}["2.5"] == 1
    build = shown["masakari_build_info"].samples[0]
    assert build.labels == {"version": "1.2", "program": "masakari-engine"}


def test_program_shows_its_own_metrics_from_zero():
    _, render = exposition.of_process((Program.HOSTMONITOR,), "masakari-hostmonitor", "1.2")
    shown = families(render)

    ours = {m.name.removesuffix("_total") for m in METRICS if Program.HOSTMONITOR in m.programs}
    assert {name for name in shown if name.startswith("masakari_")} == ours
    assert shown["masakari_monitor_outbox_length"].samples[0].value == 0


def test_series_of_all_metrics_fit_the_library():
    meter, render = exposition.of_process(tuple(Program), "masakari-standalone", "1.2")
    for metric in METRICS:
        labels = ["x"] * len(metric.labels)
        if metric.kind is metrics.Kind.COUNTER:
            meter.count(metric, *labels)
        elif metric.kind is metrics.Kind.HISTOGRAM:
            meter.observe(metric, 1, *labels)
        elif metric is not metrics.BUILD_INFO:
            meter.set(metric, 1, *labels)

    shown = families(render)
    assert {m.name.removesuffix("_total") for m in METRICS} <= shown.keys()


WORKER = """
from masakari import exposition, metrics
meter = exposition.of_worker((metrics.Program.API,))
meter.count(metrics.API_REQUESTS, "GET /segments", "200", by={requests})
meter.set(metrics.QUEUE, {requests}, "bus")
print("ready", flush=True)
input()
"""


def worker(directory, requests):
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER.format(requests=requests)],
        env={**os.environ, exposition.MULTIPROC_DIR: str(directory)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def test_workers_are_added_up_and_dead_ones_keep_only_what_they_have_counted(tmp_path):
    render = exposition.of_all_workers(tmp_path, "masakari-api", "1.2")
    one, two = worker(tmp_path, 2), worker(tmp_path, 3)

    def shown():
        found = families(render)
        requests = found["masakari_api_requests"].samples[0].value
        lengths = found.get("masakari_background_queue_length")
        return requests, lengths.samples[0].value if lengths else None

    try:
        assert shown() == (5, 5)
        two.kill()
        two.communicate()
        assert shown() == (5, 2)
    finally:
        for process in (one, two):
            process.kill()
            process.communicate()


OBEDIENT = """
import sys
from masakari import exposition, metrics
meter = exposition.of_worker((metrics.Program.API,))
print("ready", flush=True)
for line in sys.stdin:
    exec(line)
    print("done", flush=True)
"""


class Obedient:
    """A worker that is told what to count; of numbers whose sum is the same in each order."""

    def __init__(self, directory):
        self._process = subprocess.Popen(
            [sys.executable, "-c", OBEDIENT],
            env={**os.environ, exposition.MULTIPROC_DIR: str(directory)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout.readline() == "ready\n"

    def do(self, line):
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"

    def kill(self):
        self._process.kill()
        self._process.communicate()


def test_sums_of_workers_are_those_of_the_library_whatever_comes_and_goes(tmp_path):
    render = exposition.of_all_workers(tmp_path, "masakari-api", "1.2")
    workers = [Obedient(tmp_path) for _ in range(2)]

    def ours():
        lines = render()[1].decode().splitlines()
        return sorted(line for line in lines if "masakari_build_info" not in line)

    def theirs():
        registry = prometheus_client.CollectorRegistry()
        multiprocess.MultiProcessCollector(registry, str(tmp_path))
        return sorted(exposition._text(registry)[1].decode().splitlines())

    def observe(number, operation, seconds):
        workers[number].do(f"meter.observe(metrics.API_SECONDS, {seconds}, {operation!r})")

    try:
        assert ours() == theirs()
        for number, seconds in ((0, 2**-9), (1, 0.25), (1, 2.0**30)):
            observe(number, 'GET "/a"', seconds)
        assert ours() == theirs()
        observe(1, 'GET "/a"', 0.25)  # a number has changed, no name came
        assert ours() == theirs()
        observe(1, "GET /ö", 0.25)
        workers[0].do('meter.count(metrics.API_REQUESTS, "GET /a", "200", by=3)')
        workers[1].do('meter.set(metrics.QUEUE, 2, "bus")')
        assert ours() == theirs()
        workers[1].kill()
        workers.append(Obedient(tmp_path))
        observe(2, 'GET "/a"', 0.25)
        assert ours() == theirs()
        assert len(ours()) > 30
    finally:
        for process in workers:
            process.kill()


def test_file_that_a_worker_is_just_making_is_left_out(tmp_path):
    (tmp_path / "counter_1.db").touch()

    _, text = exposition.of_all_workers(tmp_path, "masakari-api", "1.2")()

    assert text.decode().count("\n") == 3  # of masakari_build_info


def test_text_is_that_of_the_library():
    registry = prometheus_client.CollectorRegistry()
    labels = {"labelnames": ["b", "a"], "registry": registry}
    histogram = prometheus_client.Histogram("h_seconds", "of\nlines, \\ and all", **labels)
    histogram.labels('quoted "x"', "back\\slash").observe(0.3)
    histogram.labels("new\nline", "ö").observe(1e9)
    prometheus_client.Counter("c", "counts", registry=registry).inc(2.5)
    gauge = prometheus_client.Gauge("g", "is", ["of"], registry=registry)
    for n, value in enumerate((float("inf"), float("-inf"), float("nan"), 1e16, -0.1)):
        gauge.labels(str(n)).set(value)
    prometheus_client.ProcessCollector(registry=registry)
    volatile = ("process_cpu", "process_open", "process_res", "process_virt")

    def lines(text):
        return [
            line
            for line in text.decode().splitlines()
            if "_created" not in line and not line.startswith(volatile)
        ]

    _, text = exposition._text(registry)

    assert lines(text) == lines(prometheus_client.generate_latest(registry))
    assert text.endswith(b"\n")
