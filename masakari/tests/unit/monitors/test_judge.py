"""The judge: tables of samples and what they lead to."""

import datetime

import pytest

from masakari.monitors.judge import Event, Judge, Rules, Sample, State

NOW = datetime.datetime(2026, 1, 1)
LETTERS = {
    "u": State.ONLINE,
    "d": State.OFFLINE,
    "?": State.UNKNOWN,
    "!": State.DOUBTFUL,
}


def sample(subject: str, letter: str, at: datetime.datetime = NOW) -> Sample:
    return Sample(subject, LETTERS[letter], at, f"seen {letter}")


def witness(letter: str = "u") -> Sample:
    return Sample("elsewhere", LETTERS[letter], NOW, "", witness=True)


def said(judge: Judge, letters: str, *, heard: bool = True) -> list[str]:
    """What is to be told of compute1 after each sample: D dead, U returned, - nothing."""
    told = []
    for letter in letters:
        events = judge.see([sample("compute1", letter), witness()]).events
        told += ["-" if not events else {"offline": "D", "online": "U"}[events[0].state.value]]
        if heard:
            for event in events:
                judge.told(event)
    return told


@pytest.mark.parametrize(
    ("samples", "seen", "expected"),
    [
        (1, "u", "-"),
        (1, "d", "D"),
        (1, "ud", "-D"),
        (1, "dddd", "D---"),
        (1, "du", "DU"),
        (1, "udud", "-DUD"),
        (3, "dd", "--"),
        (3, "ddd", "--D"),
        (3, "ddudd", "-----"),
        (3, "uuudduddd", "--------D"),
        (3, "dd?ddd", "-----D"),
        (3, "dd!ddd", "-----D"),
        (3, "dddduuuu", "--D---U-"),
        (1, "????", "----"),
        (1, "!!!!", "----"),
        (1, "d?d!d", "D----"),
        # a single sign of life after a report: the next death is another one
        (3, "dddudddd", "--D---D-"),
        (3, "ddd!dddd", "--D-----"),
    ],
)
def test_see_samples_one_after_the_other_tells_each_change_once(samples, seen, expected):
    judge = Judge(samples)

    assert "".join(said(judge, seen)) == expected


def test_see_event_not_heard_is_told_again_until_it_is():
    judge = Judge(1)

    assert said(judge, "ddd", heard=False) == ["D", "D", "D"]
    assert said(judge, "dd", heard=True) == ["D", "-"]


def test_see_returned_before_its_death_was_heard_tells_nothing():
    judge = Judge(1)

    assert said(judge, "duu", heard=False) == ["D", "-", "-"]


def test_see_returned_after_its_death_may_have_been_heard_tells_the_return():
    judge = Judge(1)
    said(judge, "du", heard=False)

    judge.maybe_told("compute1")

    assert said(judge, "u") == ["U"]


def test_see_second_death_is_marked_as_another_one():
    judge = Judge(1)
    first = judge.see([sample("compute1", "d"), witness()]).events[0]
    judge.told(first)
    judge.see([sample("compute1", "u"), witness()])

    second = judge.see([sample("compute1", "d"), witness()]).events[0]

    assert (first.again, second.again) == (False, True)


def test_see_own_host_is_never_accused():
    judge = Judge(1, myself="compute1.example.com")

    findings = judge.see([sample("compute1", "d"), sample("compute2", "d"), witness()])

    assert [event.subject for event in findings.events] == ["compute2"]


@pytest.mark.parametrize(
    ("letters", "accused"),
    [
        ("dd", []),
        ("d!", []),
        ("d?", []),
        ("du", ["compute0"]),
        ("ddddu", ["compute0", "compute1", "compute2", "compute3"]),
    ],
)
def test_see_without_anybody_alive_suspects_the_observer(letters, accused):
    judge = Judge(1)

    findings = judge.see([sample(f"compute{i}", letter) for i, letter in enumerate(letters)])

    assert [event.subject for event in findings.events] == accused
    assert bool(findings.trouble) is not bool(accused)


def test_see_all_dead_samples_do_not_count_later():
    judge = Judge(2)
    for _ in range(5):
        judge.see([sample("compute1", "d"), sample("compute2", "d")])

    first = judge.see([sample("compute1", "d"), sample("compute2", "u")])
    second = judge.see([sample("compute1", "d"), sample("compute2", "u")])

    assert (len(first.events), len(second.events)) == (0, 1)


def test_see_a_living_witness_clears_the_observer():
    judge = Judge(1)

    findings = judge.see([sample("compute1", "d"), witness("u")])

    assert [event.subject for event in findings.events] == ["compute1"]
    assert findings.trouble is None


def test_see_nothing_breaks_the_run_of_samples():
    judge = Judge(2)
    judge.see([sample("compute1", "d"), witness()])

    findings = judge.see_nothing("Nova is away", NOW)

    assert findings.trouble == "Nova is away"
    assert judge.summary() == "no verdict: Nova is away"
    assert said(judge, "dd") == ["-", "D"]


DARK = [sample("compute1", "d"), sample("compute2", "d")]
ONE_OF_MANY = [sample("compute1", "u"), *(sample(f"compute{n}", "d") for n in range(2, 9))]


@pytest.mark.parametrize(
    ("blind", "verdicts"),
    [
        (lambda judge: judge.see_nothing("late", NOW, is_pushed=True), "D"),
        (lambda judge: judge.see(DARK, is_pushed=True), "D"),
        (lambda judge: judge.see([sample("compute1", "?")], is_pushed=True), "D"),
        (
            lambda judge: judge.see_nothing("late", NOW, frozenset({"compute1"}), is_pushed=True),
            "-D",
        ),
        (lambda judge: judge.see(ONE_OF_MANY, is_pushed=True), "-D"),
        (lambda judge: judge.see_nothing("late", NOW), "-D"),
    ],
    ids=["blind", "dark", "ignorant", "blind, but for a sign of life", "a few alive", "not pushed"],
)
def test_pushed_round_that_judges_nobody_is_as_if_nobody_had_looked(blind, verdicts):
    judge = Judge(2, rules=Rules(alive_share_min=0.2))
    judge.see([sample("compute1", "d"), witness()])

    assert blind(judge).trouble

    assert "".join(said(judge, "d" * len(verdicts))) == verdicts


def test_pushed_round_brings_no_reminders():
    now = 0.0
    judge = Judge(1, rules=Rules(reminder_s=100), monotonic=lambda: now)
    said(judge, "d")
    now = 200.0
    death = [sample("compute1", "d"), witness()]

    assert judge.see(death, is_pushed=True).reminders == []
    assert [event.subject for event in judge.see(death).reminders] == ["compute1"]


def test_see_signs_of_life_are_online_and_doubtful():
    judge = Judge(3)

    findings = judge.see([sample(name, name) for name in "ud?!"])

    assert findings.alive == {"u", "!"}


def test_see_host_not_watched_any_more_is_forgotten():
    judge = Judge(1)
    said(judge, "d")

    findings = judge.see([sample("compute2", "u")])

    assert findings.gone == {"compute1"}
    assert said(judge, "d") == ["D"]


def test_see_rejected_host_is_quiet_until_the_registry_changes():
    judge = Judge(1)
    said(judge, "d", heard=False)

    judge.rejected("compute1")

    assert said(judge, "dd") == ["-", "-"]
    judge.see([sample("compute1", "d"), sample("compute2", "u")])
    assert said(judge, "d") == ["D"]


def test_see_rejected_return_does_not_hide_the_next_death():
    judge = Judge(1)
    said(judge, "d")
    said(judge, "u", heard=False)

    judge.rejected("compute1")

    assert said(judge, "uud") == ["-", "-", "D"]


def reminded(judge: Judge, letters: str, *, step_s: float = 100) -> str:
    """The seconds, in hundreds, at which compute1's death is reported (D) and reminded of (r)."""
    told = ""
    number = 0
    judge.monotonic = lambda: number * step_s
    for number, letter in enumerate(letters):
        at = NOW + datetime.timedelta(seconds=number * step_s)
        findings = judge.see([sample("compute1", letter, at), witness()])
        for event in [*findings.events, *findings.reminders]:
            assert event.at == at
            judge.told(event)
        told += "D" if findings.events else "r" if findings.reminders else "-"
    return told


@pytest.mark.parametrize(
    ("reminder_s", "samples", "seen", "expected"),
    [
        (300, 1, "ddddddddd", "D--r--r--"),
        (300, 2, "dddddddd", "-D--r--r"),
        (250, 1, "ddddddd", "D--r--r"),
        (0, 1, "ddddddddd", "D--------"),
        # not while nobody knows for sure that it is dead
        (300, 1, "dd????dd", "D-----r-"),
        (300, 2, "ddd?dddd", "-D---r--"),
        (300, 1, "dd!!!!dd", "D-----r-"),
        (300, 1, "uuuuuu", "------"),
    ],
)
def test_see_death_that_stands_is_reminded_of(reminder_s, samples, seen, expected):
    assert reminded(Judge(samples, rules=Rules(reminder_s=reminder_s)), seen) == expected


def test_see_return_is_never_reminded_of():
    judge = Judge(1, rules=Rules(reminder_s=300))

    assert reminded(judge, "duuuuuuu") == "DD------"


def test_see_reminder_not_heard_is_asked_for_again():
    judge = Judge(1, rules=Rules(reminder_s=300))
    judge.monotonic = lambda: 0
    said(judge, "d")
    late = NOW + datetime.timedelta(seconds=300)
    judge.monotonic = lambda: 300

    rounds = [judge.see([sample("compute1", "d", late), witness()]) for _ in range(3)]

    assert [len(findings.reminders) for findings in rounds] == [1, 1, 1]
    assert [len(findings.events) for findings in rounds] == [0, 0, 0]


def test_see_rejected_death_is_not_reminded_of():
    judge = Judge(1, rules=Rules(reminder_s=300))
    said(judge, "d")

    judge.rejected("compute1")

    assert reminded(judge, "ddddddddd") == "---------"


def test_see_longest_ago_is_reminded_of_first():
    judge = Judge(1, rules=Rules(reminder_s=300))
    judge.monotonic = lambda: 0
    judge.see([sample("compute1", "d"), sample("compute2", "d"), witness()])
    judge.told(Event("compute2", State.OFFLINE, NOW))
    judge.told(Event("compute1", State.OFFLINE, NOW + datetime.timedelta(seconds=1)))
    late = NOW + datetime.timedelta(seconds=400)
    judge.monotonic = lambda: 400

    findings = judge.see([sample("compute1", "d", late), sample("compute2", "d", late), witness()])

    assert [event.subject for event in findings.reminders] == ["compute2", "compute1"]


def test_see_change_names_old_new_and_samples():
    judge = Judge(2)
    judge.see([sample("compute1", "u"), witness()])
    judge.see([sample("compute1", "u"), witness()])
    judge.see([sample("compute1", "d"), witness()])

    findings = judge.see([sample("compute1", "d"), witness()])

    (change,) = findings.changes
    assert str(change) == "compute1: online -> offline (2 of 2 samples: seen d)"


def test_see_event_carries_the_time_of_the_deciding_sample():
    judge = Judge(2)
    later = NOW + datetime.timedelta(seconds=60)
    judge.see([sample("compute1", "d"), witness()])

    findings = judge.see([sample("compute1", "d", later), witness()])

    assert list(findings.events) == [Event("compute1", State.OFFLINE, later, "seen d")]


def test_summary_counts_the_living_and_names_the_others():
    judge = Judge(3)
    judge.see([sample("compute1", "u"), sample("compute2", "u"), sample("compute3", "d")])
    judge.see([sample("compute1", "u"), sample("compute2", "?"), sample("compute3", "d")])

    assert judge.summary() == (
        "1 of 3 hosts online; compute2 unknown (1 of 3 samples: seen ?); "
        "compute3 offline (2 of 3 samples: seen d)"
    )


def test_summary_of_many_names_ten():
    judge = Judge(1)

    judge.see([sample(f"compute{i:02}", "d") for i in range(12)] + [witness()])

    assert judge.summary().startswith("0 of 12 hosts online; compute00 offline")
    assert judge.summary().endswith("; and 2 more")


def test_summary_without_hosts_says_so():
    judge = Judge(1)

    judge.see([])

    assert judge.summary() == "no host is watched: none is registered in an enabled segment"


# ---- rules


def over_time(rules: Rules, letters: str, *, step_s: float = 100) -> str:
    """As `said`, by a judge of one sample, each *step_s* after the one before."""
    judge = Judge(1, rules=rules)
    told = ""
    for number, letter in enumerate(letters):
        judge.monotonic = lambda number=number: number * step_s
        told += "".join(said(judge, letter))
    return told


@pytest.mark.parametrize(
    ("delay_s", "seen", "expected"),
    [
        (0, "ud", "-D"),
        (100, "uddd", "--D-"),
        (250, "udddd", "----D"),
        (250, "uddudddd", "-------D"),
        (250, "udd?dddd", "-------D"),
        # a return is told at once
        (250, "ddddu", "---DU"),
    ],
)
def test_death_is_told_when_it_has_stood_for_the_delay(delay_s, seen, expected):
    assert over_time(Rules(delay_s=delay_s), seen) == expected


@pytest.mark.parametrize(
    ("changes", "window_s", "seen", "expected"),
    [
        (0, 1000, "ududud", "-DUDUD"),
        (2, 1000, "udud", "-DU-"),
        (2, 1000, "ududddddddddddd", "-DU--------D---"),
        (2, 150, "ududu", "-DUDU"),
        (2, 1000, "ud?u!d", "-D-U--"),
        # that it is alive is told
        (2, 1000, "ududu", "-DU--"),
        (1, 1000, "dud", "DU-"),
    ],
)
def test_host_that_flaps_is_not_accused_until_it_is_quiet(changes, window_s, seen, expected):
    rules = Rules(flapping_changes=changes, flapping_s=window_s)

    assert over_time(rules, seen) == expected


@pytest.mark.parametrize(
    ("pushed", "told"),
    [
        # times of looks that see compute1 dead, and which of them were pushed
        ([(0, True), (10, True), (59, True), (60, True), (119, True), (120, True)], 120),
        ([(0, True), (20, False), (80, False), (140, False)], 140),
        ([(0, True), (40, False), (90, True), (100, False), (160, False)], 100),
        ([(0, False), (57, False), (120, False)], 120),
    ],
)
def test_death_is_believed_an_interval_sooner_at_most(pushed, told):
    judge = Judge(3, rules=Rules(spacing_s=60))
    events = {}
    for at, is_pushed in pushed:
        judge.monotonic = lambda at=at: at
        taken = [sample("compute1", "d"), witness()]
        events[at] = judge.see(taken, is_pushed=is_pushed).events

    assert next(at for at, found in events.items() if found) == told


def test_host_does_not_flap_because_it_is_looked_at_more_often():
    def rules(spacing_s):
        return Rules(flapping_changes=2, flapping_s=1000, spacing_s=spacing_s)

    assert over_time(rules(0), "ududud", step_s=10) == "-DU---"
    # the turns at 10 s and 110 s count, and the one at 210 s is one too many
    assert over_time(rules(200), "ud" * 15, step_s=10) == "-" + "DU" * 10 + "-" * 9


def test_host_that_flaps_is_told_to_people():
    judge = Judge(1, rules=Rules(flapping_changes=1))
    changes = []
    for letter in "udud":
        changes += judge.see([sample("compute1", letter), witness()]).changes

    assert changes[-1].new is State.DOUBTFUL
    assert changes[-1].detail.startswith("flapping, ")


def crowd(letters: str) -> list[Sample]:
    return [sample(f"compute{number}", letter) for number, letter in enumerate(letters)]


@pytest.mark.parametrize(
    ("share", "seen", "deaths"),
    [
        (0, "uddd", 3),
        (0.25, "uddd", 3),
        (0.26, "uddd", 0),
        (0.5, "uudd", 2),
        (0.5, "u!dd", 2),
        (0.5, "u??d", 1),
        (0.5, "udd?", 0),
        (0, "dddd", 0),
    ],
)
def test_too_small_a_share_alive_accuses_nobody(share, seen, deaths):
    findings = Judge(1, rules=Rules(alive_share_min=share)).see(crowd(seen))

    assert len(findings.events) == deaths
    assert findings.is_silence == (deaths == 0)


@pytest.mark.parametrize(
    ("most", "seen", "deaths"),
    [(0, "uddd", 3), (3, "uddd", 3), (2, "uddd", 0), (2, "uuuu", 0)],
)
def test_too_many_deaths_at_once_are_not_told(most, seen, deaths):
    findings = Judge(1, rules=Rules(new_deaths_max=most)).see(crowd(seen))

    assert len(findings.events) == deaths
    assert findings.is_silence == ("d" in seen and not deaths)


def test_too_many_deaths_are_told_when_fewer_are_left():
    judge = Judge(1, rules=Rules(new_deaths_max=2))
    judge.see(crowd("uddd"))

    findings = judge.see(crowd("uddu"))

    assert [event.subject for event in findings.events] == ["compute1", "compute2"]
    assert not findings.is_silence


@pytest.mark.parametrize("hours", [-1, 1])
def test_clock_that_jumps_changes_nothing(hours):
    judge = Judge(2, rules=Rules(reminder_s=300, delay_s=50))
    jumped = NOW + datetime.timedelta(hours=hours)
    judge.monotonic = lambda: 0
    judge.see([sample("compute1", "d"), witness()])
    judge.monotonic = lambda: 49

    findings = judge.see([sample("compute1", "d", jumped), witness()])

    assert (findings.events, findings.reminders) == ([], [])
    judge.monotonic = lambda: 50
    (event,) = judge.see([sample("compute1", "d", jumped), witness()]).events
    judge.told(event)
    judge.monotonic = lambda: 349
    assert judge.see([sample("compute1", "d", NOW), witness()]).reminders == []
    judge.monotonic = lambda: 350
    assert len(judge.see([sample("compute1", "d", NOW), witness()]).reminders) == 1
