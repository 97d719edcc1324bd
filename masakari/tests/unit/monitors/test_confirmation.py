"""Who is held for dead is asked itself."""

import pytest

from masakari.monitors import core
from masakari.monitors.hosts.confirmation import confirm
from masakari.monitors.hosts.opinions import Opinion, Sign
from masakari.monitors.hosts.polling import Reading
from masakari.monitors.judge import State

UP, GONE = Reading(State.ONLINE, "is a member"), Reading(State.OFFLINE, "is gone")
ODD = Reading(State.DOUBTFUL, "odd")


class Hosts:
    """What hosts show; who was asked."""

    def __init__(self, **signs):
        self._signs = signs
        self.asked = []

    def ask(self, hosts):
        self.asked += hosts
        return {host: Opinion(self._signs[host], f"{host} {self._signs[host]}") for host in hosts}


@pytest.mark.parametrize(
    ("sign", "state"),
    [
        (Sign.ALIVE, State.DOUBTFUL),
        (Sign.SILENT, State.OFFLINE),
        (Sign.UNKNOWN, State.UNKNOWN),
    ],
)
def test_host_that_is_gone_is_what_it_shows_itself(sign, state):
    found = confirm({"a": GONE, "b": UP}, Hosts(a=sign, b=Sign.ALIVE))

    assert found == {"a": Reading(state, f"is gone, a {sign}"), "b": UP}


def test_nobody_is_gone_nobody_is_asked():
    hosts = Hosts()

    assert confirm({"a": UP, "b": ODD}, hosts) == {"a": UP, "b": ODD}
    assert hosts.asked == []


def test_the_others_are_asked_only_to_see_whether_anybody_answers():
    hosts = Hosts(a=Sign.SILENT, b=Sign.ALIVE, c=Sign.ALIVE)

    confirm({"a": GONE, "b": UP, "c": GONE}, hosts)

    assert hosts.asked == ["a", "c"]


def test_nobody_answers_is_blind_and_tells_who_lives():
    hosts = Hosts(a=Sign.SILENT, b=Sign.SILENT, c=Sign.UNKNOWN)

    with pytest.raises(core.Blind, match="not one of 3 answers the second opinion") as raised:
        confirm({"a": GONE, "b": UP, "c": ODD}, hosts)

    assert raised.value.alive == {"b", "c"}
