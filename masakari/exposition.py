"""Metrics for Prometheus: the only module that knows its library; tally knows its files.

Several workers of one API share a directory of files (the library's multi-process mode), which
must be named before the library is loaded: that is why it is not loaded at the top.
"""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from masakari import metrics
from masakari.metrics import METRICS, Kind, Metric, Program
from masakari.tally import Tally, Words

if TYPE_CHECKING:
    import prometheus_client

MULTIPROC_DIR = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable that the library reads when it is loaded."""
LIVE_FILES = "gauge_live*_*.db"
"""Those of tally.FILES that are of a worker only while it lives."""

Render = Callable[[], tuple[str, bytes]]
"""What is scraped: (content type, text)."""


class PrometheusMeter:
    """A Meter that Prometheus can read."""

    def __init__(
        self, registry: prometheus_client.CollectorRegistry, programs: Collection[Program]
    ) -> None:
        """Register in *registry* what those programs show, each from 0."""
        self._of: Mapping[str, Any] = {  # Any: the library's classes have no common type
            metric.name: _made(metric, registry)
            for metric in METRICS
            if metric is not metrics.BUILD_INFO and not set(programs).isdisjoint(metric.programs)
        }

    def count(self, metric: Metric, *labels: str, by: float = 1) -> None:
        """As Meter."""
        self._at(metric, labels).inc(by)

    def set(self, metric: Metric, value: float, *labels: str) -> None:
        """As Meter."""
        self._at(metric, labels).set(value)

    def observe(self, metric: Metric, seconds: float, *labels: str) -> None:
        """As Meter."""
        self._at(metric, labels).observe(max(0.0, seconds))

    def _at(self, metric: Metric, labels: tuple[str, ...]) -> Any:
        found = self._of[metric.name]
        return found.labels(*labels) if labels else found


def _made(metric: Metric, registry: prometheus_client.CollectorRegistry) -> Any:
    import prometheus_client as library  # noqa: PLC0415  see above

    arguments: dict[str, Any] = {"labelnames": metric.labels, "registry": registry}
    match metric.kind:
        case Kind.COUNTER:
            return library.Counter(metric.name, metric.meaning, **arguments)
        case Kind.GAUGE:
            # of several workers that live, the sum: they are lengths of queues
            return library.Gauge(
                metric.name, metric.meaning, multiprocess_mode="livesum", **arguments
            )
        case Kind.HISTOGRAM:
            return library.Histogram(
                metric.name, metric.meaning, buckets=metric.buckets_s, **arguments
            )


def of_process(
    programs: Collection[Program], name: str, version: str
) -> tuple[PrometheusMeter, Render]:
    """A meter for this process alone, and what shows its numbers."""
    import prometheus_client as library  # noqa: PLC0415

    registry = library.CollectorRegistry()
    meter = PrometheusMeter(registry, programs)
    library.ProcessCollector(registry=registry)
    _tell_build(registry, name, version)
    return meter, lambda: _text(registry)


def of_worker(programs: Collection[Program]) -> PrometheusMeter:
    """A meter for one of several workers, which have a directory in common (MULTIPROC_DIR)."""
    import prometheus_client as library  # noqa: PLC0415

    return PrometheusMeter(library.CollectorRegistry(), programs)


def of_all_workers(directory: pathlib.Path, name: str, version: str) -> Render:
    """What shows the numbers of all workers that write into *directory*."""

    tally = Tally(directory, Words(_header, _labels, _number))

    def render() -> tuple[str, bytes]:
        import prometheus_client as library  # noqa: PLC0415

        registry = library.CollectorRegistry()
        _tell_build(registry, name, version)
        content_type, build = _text(registry)
        _forget_the_dead(directory)
        return content_type, build + "\n".join([*tally.lines(), ""]).encode()

    return render


def _forget_the_dead(directory: pathlib.Path) -> None:
    """What a worker only had while it lived is not shown any more."""
    for path in directory.glob(LIVE_FILES):
        pid = path.stem.rpartition("_")[2]
        if not pathlib.Path("/proc", pid).exists():
            path.unlink(missing_ok=True)


def _tell_build(registry: prometheus_client.CollectorRegistry, name: str, version: str) -> None:
    from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415

    build = metrics.BUILD_INFO
    family = GaugeMetricFamily(build.name, build.meaning, labels=build.labels)
    family.add_metric([version, name], 1)

    class Build:
        def collect(self) -> list[GaugeMetricFamily]:
            return [family]

    registry.register(Build())


CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LABELS_KEPT = 65536
"""Sets of labels, and numbers, whose text is kept: most are the same at each scrape."""


def _text(registry: prometheus_client.CollectorRegistry) -> tuple[str, bytes]:
    """As the library's `generate_latest`, in a third of its time, without `_created`.

    Our names need no escaping.
    """
    lines: list[str] = []
    for family in registry.collect():
        lines += _header(family.name, family.type, family.documentation)
        lines += (
            f"{sample.name}{_labels(tuple(sample.labels.items()))} {_number(sample.value)}"
            for sample in family.samples
            if not sample.name.endswith("_created")
        )
    return CONTENT_TYPE, "\n".join([*lines, ""]).encode()


def _header(name: str, kind: str, meaning: str) -> tuple[str, str]:
    """What stands above the series of a family."""
    shown = f"{name}_total" if kind == "counter" else name
    escaped = meaning.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {shown} {escaped}", f"# TYPE {shown} {kind}"


@functools.lru_cache(LABELS_KEPT)
def _number(value: float) -> str:
    from prometheus_client import utils  # noqa: PLC0415

    return str(utils.floatToGoString(value))  # type: ignore[no-untyped-call]


@functools.lru_cache(LABELS_KEPT)
def _labels(labels: tuple[tuple[str, str], ...]) -> str:
    """Of a sample, in the order of their names."""
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in sorted(labels)) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
