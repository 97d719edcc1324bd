"""The metrics: their form, and that the documentation has each of them."""

import pathlib
import re

import pytest

from masakari import metrics
from masakari.metrics import METRICS, Kind, Stage, Tally

PAGE = pathlib.Path(__file__).parents[3] / "doc" / "source" / "admin" / "metrics.rst"
IDS = [metric.name for metric in METRICS]


@pytest.mark.parametrize("metric", METRICS, ids=IDS)
def test_metric_follows_the_conventions(metric):
    assert re.fullmatch(r"masakari(_[a-z]+)+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert bool(metric.buckets_s) == (metric.kind is Kind.HISTOGRAM)
    if metric.kind is Kind.HISTOGRAM:
        assert metric.name.endswith("_seconds")
    assert not {"uuid", "host", "id", "name"} & set(metric.labels)
    assert metric.meaning.endswith(".")


def test_names_are_unique():
    assert len(set(IDS)) == len(IDS)


def rows():
    """{name: (labels, programs, meaning)} of the documentation's tables."""
    text = PAGE.read_text()
    found = re.findall(r"^   \* - ``(masakari_\w+)``\n((?:     .*\n)+)", text, re.MULTILINE)
    return {
        name: tuple(
            " ".join(cell.split()) for cell in re.split(r"^     - ?", cells, flags=re.M)[1:]
        )
        for name, cells in found
    }


@pytest.mark.skipif(not PAGE.exists(), reason="this test reads the source tree")
def test_documentation_has_each_metric_with_labels_and_meaning():
    wanted = {
        metric.name: (
            str(metric.kind),
            ", ".join(f"``{label}``" for label in metric.labels),
            ", ".join(map(str, metric.programs)),
            metric.meaning,
        )
        for metric in METRICS
    }

    assert rows() == wanted


@pytest.mark.skipif(not PAGE.exists(), reason="this test reads the source tree")
def test_documentation_has_each_stage():
    text = PAGE.read_text()

    assert [stage for stage in Stage if f"``{stage}``" not in text] == []


def test_tally_remembers():
    tally = Tally()
    tally.count(metrics.SWEEPS, "work", "ok")
    tally.count(metrics.SWEEPS, "work", "ok", by=2)
    tally.set(metrics.LEASES_HELD, 7)
    tally.observe(metrics.STAGES, -1, Stage.ACCEPTED)

    assert tally.value(metrics.SWEEPS, "work", "ok") == 3
    assert tally.value(metrics.LEASES_HELD) == 7
    assert tally.observed(metrics.STAGES, Stage.ACCEPTED) == [0.0]
    assert tally.by_labels(metrics.SWEEPS) == {("work", "ok"): 3}


def test_tally_labels_that_the_metric_does_not_have_are_a_defect():
    with pytest.raises(ValueError, match="masakari_leases_held has labels"):
        Tally().set(metrics.LEASES_HELD, 7, "web1")
