"""Who only observes can look, and change nothing."""

import inspect

import pytest

from masakari.cloud import Cloud
from masakari.engine.read_only import ReadOnly, WriteRefused
from masakari.sim.clock import SimClock
from masakari.sim.cloud import SimCloud

VERBS = {name: verb for name, verb in vars(Cloud).items() if inspect.isfunction(verb)}
CHANGES = [name for name, verb in VERBS.items() if "leave" in inspect.signature(verb).parameters]
LOOKS = {
    "compute_services": ("compute1",),
    "servers_on": ("compute1",),
    "server": ("vm",),
    "has_unconfirmed_move": ("vm",),
    "actions": ("vm",),
    "evacuations": ("compute1",),
    "aggregates": (),
}


@pytest.fixture
def nova():
    with SimClock() as clock:
        cloud = SimCloud(clock)
        cloud.add_host("compute1")
        yield cloud


def test_every_verb_of_the_cloud_is_one_or_the_other():
    verbs = {name for name in VERBS if not name.startswith("_")}

    assert verbs == {*CHANGES, *LOOKS}
    assert len(CHANGES) == 13


@pytest.mark.parametrize("verb", CHANGES)
def test_changes_are_refused_and_nova_is_not_asked(nova, verb):
    with pytest.raises(WriteRefused, match="observe-only, and Nova was to be asked to "):
        getattr(ReadOnly(nova), verb)("anything", leave=lambda: None)

    assert sum(nova.calls.values()) == 0


@pytest.mark.parametrize("verb", LOOKS)
def test_looks_are_novas(nova, verb):
    vm = nova.add_server("compute1", "vm")
    arguments = [vm if a == "vm" else a for a in LOOKS[verb]]

    seen = getattr(ReadOnly(nova), verb)(*arguments)

    assert seen == getattr(nova, verb)(*arguments)


def test_who_we_are_is_novas(nova):
    assert ReadOnly(nova).user_id == nova.user_id
    assert ReadOnly(nova).confirms_by_migrations is nova.confirms_by_migrations
