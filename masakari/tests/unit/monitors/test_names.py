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
        (["compute1.a"], ["COMPUTE1.A"], {"compute1.a": "COMPUTE1.A"}),
        # not all names of the other side have a domain, so it may be somebody else's
        (["compute1", "compute2"], ["compute1.b", "compute2"], {"compute2": "compute2"}),
        (["compute1.b", "compute2"], ["compute1", "compute2"], {"compute2": "compute2"}),
        # there are several domains
        (["compute1"], ["compute1.a", "compute2.b"], {}),
        (["compute1", "compute2.a"], ["compute1.b", "compute3.b"], {}),
        # it is another host's
        (["compute1", "compute1.a"], ["compute1.a"], {"compute1.a": "compute1.a"}),
        (["compute1", "compute2.a"], ["compute1.a"], {"compute1": "compute1.a"}),
        (["Compute1", "compute1"], ["COMPUTE1"], {}),
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


@pytest.mark.parametrize(
    ("hosts", "known", "found"),
    [
        (["compute1"], ["COMPUTE1"], {"compute1": "COMPUTE1"}),
        (["compute1"], ["compute1.a"], {}),
        (["compute1.a"], ["compute1"], {}),
        (["compute1"], ["COMPUTE1", "Compute1"], {}),
        (["Compute1", "compute1"], ["compute1"], {"compute1": "compute1"}),
    ],
)
def test_alike(hosts, known, found):
    assert names.alike(hosts, known) == found


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("compute1", "compute1", True),
        ("compute1", "Compute1.example.com", True),
        ("Compute1.rack1", "compute1", True),
        ("compute1.rack1", "compute1.rack2", False),
        ("compute1.rack1", "compute1.rack1.example.com", False),
        ("compute1", "compute11", False),
        ("", "", False),
        ("compute1", "", False),
    ],
)
def test_may_be_same_compares_short_and_full_names(one, other, same):
    assert names.may_be_same(one, other) is same
