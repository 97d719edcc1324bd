"""Scenario scripts: how they are read, played and compared."""

import pytest

from masakari.sim import script
from masakari.sim.language import ScriptError
from masakari.sim.phrases import PHRASES

STAGE = """
segment rack1 auto      # the stage
host compute1..3 ; vm web1 on compute1
"""


def test_parse_tells_stage_acts_and_reactions_apart():
    found = script.parse(
        STAGE
        + """
        at 60 power compute1 off ; kill engine-a
        when "notification 1: claimed" kill engine-a
        until idle
        """
    )

    assert [s.text for s in found.stage] == [
        "segment rack1 auto",
        "host compute1..3",
        "vm web1 on compute1",
    ]
    assert [(at, s.text) for at, s in found.acts] == [
        (60, "power compute1 off"),
        (60, "kill engine-a"),
    ]
    assert [(p, s.text) for p, s in found.reactions] == [
        ("notification 1: claimed", "kill engine-a")
    ]
    assert found.until is None


def test_parse_until_a_time():
    assert script.parse("until 90.5").until == 90.5


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("segment rack1 auto", "does not end with until"),
        ("until idle\npower c1 off", "line 2: nothing comes after until"),
        ("until idle please", "line 1: nothing comes after until idle"),
        ("at noon power c1 off", "line 1: 'noon' is not a number of seconds"),
        ("at 5 ; power c1 off", "line 1: a statement is missing"),
        ('when "(" power c1 off', r'line 1: "\(" is not a regular expression: '),
        ("# a comment\n\npower c1 sideways", "line 3: 'power c1 sideways' is not understood"),
    ],
)
def test_parse_nonsense_names_the_line(text, complaint):
    with pytest.raises(ScriptError, match=complaint):
        script.parse(text)


def test_every_phrase_has_a_meaning():
    assert all(phrase.meaning.endswith(".") for phrase in PHRASES)


def test_play_twice_gives_the_same_log():
    text = STAGE + "at 60 power compute1 off\nuntil idle"

    one, other = script.play(script.parse(text)), script.play(script.parse(text))

    assert one.log == other.log
    assert "notification 1: running -> finished" in one.log
    assert one.violations == []


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("power compute9 off", "there is no host compute9"),
        ("network of compute9 cut", "there is no host compute9"),
        ("nova-compute on compute9 stopped", "there is no host compute9"),
        ("host compute1", "there is a host compute1 already"),
        ("host compute4 in rack9", "there is no segment rack9"),
        ("segment rack9 disabled", "there is no segment rack9"),
        ("vm web2 on compute9", "there is no host compute9"),
        ("vm web2 on compute1 in doubt", "VMs are in no state doubt; there are active, "),
        ("vm web1 on compute1", "there is a VM web1 already"),
        ("reserved compute1", "there is a host compute1 already"),
        ("aggregate fast of compute9", "there is no host compute9"),
        ("owner deletes web9", "there is no VM web9"),
        ("guest of web9 crashes", "there is no VM web9"),
        ("guest of web9 crashes after each start", "there is no VM web9"),
        ("start of web9 fails", "there is no VM web9"),
        ("report event LIFECYCLE/STOPPED_FAILED of web9", "there is no VM web9"),
        ("exclude instances web9", "there is no VM web9"),
        ("maintenance of compute9 on", "there is no host compute9"),
        ("operator disables compute9", "there is no host compute9"),
        ("operator deregisters compute9", "there is no host compute9"),
        ("exclusions become {}", "there is no exclusions file"),
        ("operator evacuates web9", "there is no VM web9"),
        ("evacuation of web9 hangs", "there is no VM web9"),
        ("kill engine-z", "there is no engine or monitor engine-z"),
        ("freeze engine-z for 1 s", "there is no engine or monitor engine-z"),
        ("kill engine-a before evacute", "cloud.Cloud has no verb evacute"),
        ("nova answers 503 for 9 s to evacute", "cloud.Cloud has no verb evacute"),
    ],
)
def test_play_what_is_not_there_is_told_to_the_author(statement, complaint):
    with pytest.raises(ScriptError) as caught:
        script.play(script.parse(STAGE + f"at 1 {statement}\nuntil 2"))

    assert str(caught.value).startswith(f"{statement!r}: {complaint}")


def test_play_host_before_any_segment_is_told_to_the_author():
    with pytest.raises(ScriptError, match="'host compute1': there is no segment yet"):
        script.play(script.parse("host compute1\nuntil 1"))


@pytest.mark.parametrize(
    "reaction",
    ["start engine-a", "network of compute2 cut", "database away for 5 s", "kill engine-b"],
)
def test_play_line_that_kills_who_wrote_it_has_its_other_reactions(reaction):
    run = script.play(
        script.parse(
            STAGE
            + f"""
            engine engine-a
            engine engine-b
            when "engine-. notification 1: claimed" kill engine-a ; kill engine-b
            when "notification 1: claimed" {reaction}
            at 60 power compute1 off
            until 200
            """
        )
    )

    assert [line.split("sim", 1)[1].strip() for line in run.lines if " sim " in line][:4] == [
        "power compute1 off",
        "kill engine-a",
        "kill engine-b",
        reaction,
    ]


def test_play_guest_that_crashes_is_reported_until_somebody_listens():
    run = script.play(
        script.parse(
            STAGE
            + """
            no monitor
            at 10 maintenance of compute1 on
            at 20 guest of web1 crashes
            at 35 maintenance of compute1 off
            until idle
            """
        )
    )

    said = [line.split("instmon", 1)[1].strip() for line in run.lines if " instmon " in line]
    assert len(said) == 3
    assert said[0].startswith("compute1: the guest of web1 has died: reported (409 ")
    assert said[0].endswith("; again in 10 s")
    assert said[2] == "compute1: the guest of web1 has died: reported (202)"


def test_play_guest_that_dies_with_its_host_is_reported_by_nobody():
    run = script.play(
        script.parse(
            STAGE
            + """
            no monitor
            at 10 maintenance of compute1 on
            at 20 guest of web1 crashes
            at 25 power compute1 off
            until 100
            """
        )
    )

    assert len([line for line in run.lines if " instmon " in line]) == 1


def test_play_crash_loop_ends_after_so_many_times():
    run = script.play(
        script.parse(
            """
            segment rack1 auto
            host compute1..2
            vm web1 on compute1 ha-enabled
            no monitor
            at 10 guest of web1 crashes after each start 1 times
            until idle
            """
        )
    )

    assert len([line for line in run.lines if " instmon " in line]) == 2
    assert "    end           web1: active on compute1; runs on compute1" in run.lines


def test_play_unfit_segment_is_told_by_its_hosts_at_the_end():
    run = script.play(
        script.parse(
            """
            segment rack1 reserved_host
            host compute1
            reserved compute2
            until 1
            """
        )
    )

    assert run.lines[-1] == "    end           compute2: disabled, reserved"


def test_play_wrong_option_is_reported_to_the_author():
    with pytest.raises(ScriptError, match=r"'option engine.leese 5': "):
        script.play(script.parse("option engine.leese 5\nuntil 1"))


def test_difference_is_empty_for_equal_logs_and_shows_changes():
    assert script.difference("x", "a\n", "a\n") == ""
    assert "+b" in script.difference("x", "a\n", "b\n")


def test_every_scenario_that_is_there_is_played():
    assert len(script.scenarios()) >= 15
