"""Whose disks are lost with the host, globally and by aggregate."""

import pytest

from masakari.engine import storage

FAST, RACK = {"fast": "local"}, {"rack1": "shared"}


@pytest.mark.parametrize(
    ("options", "aggregates", "expected"),
    [
        ((None, {}), {}, False),
        (("shared", {}), {}, False),
        (("local", {}), {}, True),
        (("shared", FAST), {"fast": ["compute1"]}, True),
        (("shared", FAST), {"fast": ["compute2"]}, False),
        (("shared", FAST), {}, False),
        (("local", RACK), {"rack1": ["compute1", "compute2"]}, False),
        (("local", RACK), {"rack1": ["compute2"]}, True),
        (("local", RACK), {"other": ["compute1"]}, True),
        (
            ("shared", {**FAST, **RACK}),
            {"rack1": ["compute1"], "fast": ["compute1"], "other": ["compute1"]},
            True,
        ),
    ],
    ids=[
        "not set: shared",
        "shared",
        "local",
        "local in its aggregate",
        "local in another's",
        "local in an aggregate that is not there",
        "shared in its aggregate",
        "shared in another's",
        "its aggregate is not named",
        "aggregates disagree: local",
    ],
)
def test_is_local(conf, cloud, options, aggregates, expected):
    everywhere, by_aggregate = options
    for host in ("compute1", "compute2"):
        cloud.add_host(host)
    for name, hosts in aggregates.items():
        cloud.add_aggregate(name, hosts)
    conf.set_override("ephemeral_storage", everywhere, "host_failure")
    conf.set_override("ephemeral_storage_by_aggregate", by_aggregate, "host_failure")

    assert storage.is_local(conf.host_failure, "compute1", cloud) is expected


def test_is_local_no_aggregate_is_named_nova_is_not_asked(conf, cloud):
    conf.set_override("ephemeral_storage", "local", "host_failure")

    storage.is_local(conf.host_failure, "compute1", cloud)

    assert "aggregates" not in cloud.calls
