"""What is pushed makes a monitor look sooner, and believe nothing sooner."""

import logging

import pytest

DEATH = ("compute1", "STOPPED")


@pytest.fixture
def three(world):
    """Three hosts, all up, looked at each minute; the monitor has looked once."""
    world.hosts("compute1", "compute2", "compute3")
    world.option("monitoring_interval", 60, "host")
    world.looks = []
    look = world.opinion.ask

    def ask(hosts):
        world.looks.append(world.clock.monotonic())
        return look(hosts)

    world.opinion.ask = ask
    world.start()
    world.run(30)
    assert world.looks == [0]
    return world


def rounds(caplog):
    return [r.getMessage() for r in caplog.records if "looking at once" in r.getMessage()]


def test_push_is_looked_at_at_once_and_says_why(three, caplog):
    caplog.set_level(logging.INFO)
    three.push("compute1 has said so")
    three.run(1)

    assert three.looks == [0, 30]
    assert rounds(caplog) == ["looking at once: compute1 has said so"]


def test_push_is_followed_by_a_second_look_and_regular_ones_keep_their_times(three, caplog):
    caplog.set_level(logging.INFO)
    three.push()
    three.run(100)

    assert three.looks == [0, 30, 35, 60, 120]
    assert len(rounds(caplog)) == 1


def test_storm_of_pushes_brings_a_round_a_second_and_names_a_few(three, caplog):
    caplog.set_level(logging.INFO)
    for number in range(480):
        three.push(f"push {number}")
        three.run(0.01)

    assert three.looks == [0, 30, 31, 32, 33, 34]
    assert rounds(caplog)[1] == ("looking at once: push 1; push 2; push 3; and 96 more")


def test_rounds_that_take_long_have_pauses_as_long(three):
    look = three.opinion.ask

    def slowly(hosts):
        answer = look(hosts)
        three.clock.sleep(3)
        return answer

    three.opinion.ask = slowly
    for _ in range(10):
        three.push()
        three.run(1)

    assert three.looks == [0, 30, 36]
    three.run(15)
    assert three.looks == [0, 30, 36, 42, 50]


def test_death_that_is_pushed_is_told_sooner_by_the_looks_that_it_takes(three):
    three.run(1)
    three.cloud.power_off("compute1")
    three.run(10)
    three.push()
    three.run(30)

    # seen at 41 by the push, and at 60 as always, too soon to count; at 120 at last
    assert three.masakari.told == []
    three.run(60)
    assert [heard.at for heard in three.masakari.heard] == [120]


def test_death_pushed_early_in_an_interval_is_told_an_interval_sooner(three):
    three.run(31)
    three.cloud.power_off("compute1")
    three.run(10)
    three.push()
    three.run(40)

    # seen at 71 and 120, and not at 120 and 180
    assert three.masakari.told == []
    three.run(20)
    assert [heard.at for heard in three.masakari.heard] == [120]


def test_storm_does_not_make_a_death_be_believed_sooner(three):
    three.run(31)
    three.cloud.power_off("compute1")
    three.run(10)
    for _ in range(200):
        three.push()
        three.run(0.1)

    # silent at 71 and in each of 20 looks since; pushed ones that count are a minute apart
    assert len(three.looks) > 20
    assert three.masakari.asked == []
    three.cloud.power_on("compute1")
    three.run(100)
    assert three.masakari.asked == []


def test_storm_makes_a_death_of_three_samples_known_one_interval_sooner(world):
    world.hosts("compute1", "compute2", "compute3")
    world.option("monitoring_interval", 60, "host")
    world.option("monitoring_samples", 3, "host")
    world.start()
    world.run(70)
    world.cloud.power_off("compute1")
    world.run(19)
    for _ in range(200):
        world.push()
        world.run(1)

    # pushed at 89, then at 120 and 180 as always; without pushes at 120, 180 and 240
    assert [heard.at for heard in world.masakari.heard] == [180]


def test_push_alone_accuses_nobody(three):
    for _ in range(10):
        three.push("compute1 is dead, says somebody")
        three.run(30)

    assert three.masakari.asked == []


def test_one_sample_is_enough_where_one_is_wanted(world):
    world.hosts("compute1", "compute2", "compute3")
    world.option("monitoring_interval", 60, "host")
    world.option("monitoring_samples", 1, "host")
    world.start()
    world.run(1)
    world.cloud.power_off("compute1")
    world.run(10)
    world.push()
    world.run(1)

    assert [(heard.at, heard.host) for heard in world.masakari.heard] == [(11, "compute1")]
