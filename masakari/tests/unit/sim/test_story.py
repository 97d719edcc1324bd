"""Log lines of a simulated run: names instead of uuids, seconds instead of times."""

import logging
import uuid

import pytest

from masakari.sim.clock import SimClock
from masakari.sim.story import Names, Story

WEB1 = str(uuid.UUID(int=1))
FIRST = str(uuid.UUID(int=2))
SECOND = str(uuid.UUID(int=3))


@pytest.fixture
def clock():
    with SimClock() as clock:
        yield clock


def test_names_replace_uuids_by_name_or_by_number():
    names = Names()
    names.know(WEB1, "web1")

    text = names.apply(f"notification {SECOND}: VM {WEB1}, not {FIRST}; notification {SECOND}")

    assert text == "notification 1: VM web1, not id-1; notification 1"


def test_names_replace_paths():
    names = Names()
    names.know_place("/tmp/tmp12345", "/etc/masakari")

    assert names.apply("read /tmp/tmp12345/x.yaml") == "read /etc/masakari/x.yaml"


def test_names_do_not_say_a_name_twice():
    names = Names()
    names.know(WEB1, "web1")

    assert names.apply(f"VM web1 ({WEB1}): succeeded") == "VM web1: succeeded"


@pytest.mark.parametrize(
    "text", ["2026-01-01T00:01:30.250000Z", "2026-01-01 00:01:30.250 UTC", "2026-01-01 00:01:30.25"]
)
def test_names_replace_times_by_seconds_since_the_start(text):
    assert Names().apply(f"heard at {text}, twice") == "heard at 90.2 s, twice"


def test_story_has_time_process_and_level_of_each_line(clock):
    def work():
        clock.sleep(90.25)
        logging.getLogger("masakari.engine").info("engine: started")
        logging.getLogger("masakari.engine").warning("careful")
        logging.getLogger("masakari.engine").debug("detail")
        logging.getLogger("elsewhere").info("not ours")

    with Story(clock) as story:
        clock.spawn(work, group="engine-a")
        clock.run_until(100)
        story.say("sim", "the  end")

    assert story.lines == [
        "   90.2 engine-a  engine: started",
        "   90.2 engine-a  WARNING careful",
        "    100 sim       the end",
    ]


def test_story_leaves_out_what_the_dead_say(clock):
    def work():
        clock.kill("engine-a")
        logging.getLogger("masakari.engine").info("too late")

    with Story(clock) as story:
        clock.spawn(work, group="engine-a")
        clock.run_until(1)

    assert story.lines == []


def test_story_reacts_once_to_a_line(clock):
    reactions = []

    with Story(clock) as story:
        story.when("engine-a .*claimed", lambda: reactions.append(clock.monotonic()))
        story.say("engine-b", "claimed")
        story.say("engine-a", "row claimed")
        story.say("engine-a", "row claimed")

    assert reactions == [0]


def test_story_reacts_once_though_a_reaction_writes_what_matches_again(clock):
    reactions = []

    with Story(clock) as story:
        story.when("claimed", lambda: story.say("sim", "claimed no more"))
        story.when("claimed", lambda: reactions.append(clock.monotonic()))
        story.say("engine-a", "claimed")

    assert reactions == [0]


def test_story_gives_the_logger_back_as_it_was(clock):
    logger = logging.getLogger("masakari")
    before = (logger.level, logger.propagate, list(logger.handlers))

    with Story(clock):
        pass

    assert (logger.level, logger.propagate, list(logger.handlers)) == before
