"""Whatever goes wrong at whichever request to Nova: no promise is broken, and little is lost.

Each kind of mishap meets every third request; all of them with MASAKARI_THOROUGH=1 (`make soak`).
"""

import collections
import functools
import os

import pytest

from masakari.sim import script
from masakari.sim.cloud import ApiError, Fault

CROWD = "segment rack1 {method} ; host compute1..3 ; reserved compute4..5"
HOST = "vm web1..2 on compute1 ; vm off1 on compute1 in stopped\nat 60 power compute1 off"
STORIES = {
    "auto": f"{CROWD.format(method='auto')}\n{HOST}",
    "reserved_host": (
        "option host_failure.add_reserved_host_to_aggregate true\n"
        f"{CROWD.format(method='reserved_host')}\naggregate fast of compute1\n{HOST}"
    ),
    "auto_priority": (
        f"{CROWD.format(method='auto_priority')}\n{HOST} ; evacuation of web1 fails 1 times"
    ),
    "rh_priority": (
        f"{CROWD.format(method='rh_priority')}\n{HOST} ; evacuation of web1 fails 2 times"
    ),
    "restart": (
        "segment rack1 auto ; host compute1..2\nvm web1 on compute1 ha-enabled\n"
        "at 60 guest of web1 crashes"
    ),
    "relocate": (
        "option instance_failure.max_restarts 0\noption instance_failure.max_relocations 3\n"
        "segment rack1 auto ; host compute1..2\nvm web1 on compute1 ha-enabled\n"
        "at 60 guest of web1 crashes"
    ),
    "process": (
        "segment rack1 auto ; host compute1..2\nvm web1 on compute1\n"
        "at 60 report process nova-compute of compute1 stopped\n"
        "at 90 report process nova-compute of compute1 started"
    ),
}
IS_THOROUGH = os.environ.get("MASAKARI_THOROUGH") == "1"
OUTAGE_S = 60.0
SLOW_S = 20.0


class Mishap:
    """One thing that goes wrong at the engine's request number *at*; without one it only counts."""

    def __init__(self, kind=None, at=None):
        self.kind = kind
        self.at = at
        self.calls = []
        self.until = None

    def __call__(self, system):
        self.system = system
        for when, hook in (("before", self.before), ("after", self.after)):
            system.cloud.add_fault(Fault(when=when, times=None, hook=hook))

    def before(self, call):
        clock = self.system.clock
        if clock.group() not in self.system.engines:
            return
        self.calls.append((call.verb, call.server_name or call.host))
        is_now = len(self.calls) - 1 == self.at
        if self.kind == "outage":
            if is_now:
                self.until = clock.monotonic() + OUTAGE_S
            if self.until is not None and clock.monotonic() < self.until:
                raise ApiError(503, "Service Unavailable")
        elif self.kind == "slow" and is_now:
            clock.sleep(SLOW_S)
        elif isinstance(self.kind, int) and is_now:
            raise ApiError(self.kind, "Refused")

    def after(self, call):
        is_ours = self.system.clock.group() in self.system.engines
        if is_ours and self.kind == "lost answer" and len(self.calls) - 1 == self.at:
            self.at = None
            raise ApiError(0, "Connection reset by peer")


@functools.cache
def calls(story):
    """The numbers of the engine's requests: of each about the same thing the first and the last."""
    mishap = Mishap()
    run = script.play(script.parse(f"{STORIES[story]}\nuntil idle"), meddle=mishap)
    assert run.violations == []
    places = collections.defaultdict(list)
    for number, call in enumerate(mishap.calls):
        places[call].append(number)
    return sorted({number for found in places.values() for number in (found[0], found[-1])})


HOSTS, OTHERS = ("auto", "reserved_host"), ("restart", "relocate", "process")
pytestmark = pytest.mark.long
WALKS = [
    *((story, 409) for story in STORIES),
    *((story, kind) for story in (*HOSTS, *OTHERS) for kind in (403, "outage", "lost answer")),
    *((story, kind) for story in OTHERS for kind in (404, "slow")),
]


@pytest.mark.parametrize(("story", "kind"), WALKS)
def test_mishap_at_each_call_of_each_story_breaks_no_promise(story, kind):
    parsed = script.parse(f"{STORIES[story]}\nuntil idle")
    kinds = [k for s, k in WALKS if s == story]
    first, step = (0, 1) if IS_THOROUGH else (kinds.index(kind) % 3, 3)

    for at in calls(story)[first::step]:
        run = script.play(parsed, meddle=Mishap(kind, at))

        told = f"{kind} at call {at}:\n{run.log}"
        assert run.violations == [], told
        if not isinstance(kind, int):  # nothing was refused: all is well in the end
            assert not [line for line in run.lines if is_a_loss(line)], told


def is_a_loss(line):
    """A line of the end that tells of a VM that does not run, or of a recovery that failed."""
    what = line.split()
    return what[0] == "end" and ("failed" in what or ("nowhere" in what and what[1] != "off1:"))
