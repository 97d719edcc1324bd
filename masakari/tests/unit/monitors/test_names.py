"""Names of hosts in other case, with or without domain."""

import pytest

from masakari.monitors import names


@pytest.mark.parametrize(
    ("hosts", "known", "found"),
    [
        (["compute1"], ["compute1"], {"compute1": "compute1"}),
        (["compute1"], ["COMPUTE1"], {"compute1": "COMPUTE1"}),
        (["compute1"], ["Compute1.example.com"], {"compute1": "Compute1.example.com"}),
        (["compute1.example.com"], ["compute1"], {"compute1.example.com": "compute1"}),
        (["compute1.a"], ["compute1.b"], {}),
        (["compute1"], ["compute10", "compute"], {}),
        # the very name is taken, whatever else there is
        (["compute1"], ["compute1", "compute1.a"], {"compute1": "compute1"}),
        # of two that may be it, none is
        (["compute1"], ["compute1.a", "compute1.b"], {}),
        (["compute1"], ["COMPUTE1", "Compute1"], {}),
        # a name that may be two hosts' is none's, or its own
        (["compute1.a", "compute1.b"], ["compute1"], {}),
        (["compute1.a", "compute1"], ["compute1"], {"compute1": "compute1"}),
        ([""], [""], {"": ""}),
        (["compute1"], [], {}),
    ],
)
def test_match(hosts, known, found):
    assert names.match(hosts, known) == found
