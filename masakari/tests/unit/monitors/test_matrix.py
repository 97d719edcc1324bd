"""Which signals mean what: every combination, against tables that were written by hand."""

import collections
import itertools

import pytest
import yaml

from masakari import errors
from masakari.monitors.matrix import Agreement, Meaning, Signal, load, parse

NAMES = ("manage", "tenant", "storage", "power")
LETTERS = {"u": Signal.UP, "d": Signal.DOWN, "f": Signal.FLAPPING, "?": Signal.UNKNOWN}
MEANINGS = {
    "fine": Meaning.FINE,
    "ill": Meaning.DEGRADED,
    "dead": Meaning.DOWN,
    "none": Meaning.UNKNOWN,
}

AGREEMENT = """
u fine   d dead   f ill   ? none
uu fine  ud ill   uf ill  u? fine  dd dead  df ill  d? dead  ff ill  f? ill  ?? none
uuu fine uud ill  uuf ill uu? fine udd ill  udf ill ud? ill  uff ill uf? ill u?? fine
ddd dead ddf ill  dd? dead dff ill df? ill  d?? dead fff ill ff? ill f?? ill ??? none
uuuu fine uuud ill uuuf ill uuu? fine uudd ill uudf ill uud? ill uuff ill uuf? ill uu?? fine
uddd ill uddf ill udd? ill udff ill udf? ill ud?? ill ufff ill uff? ill uf?? ill u??? fine
dddd dead dddf ill ddd? dead ddff ill ddf? ill dd?? dead dfff ill dff? ill df?? ill d??? dead
ffff ill fff? ill ff?? ill f??? ill ???? none
"""
"""Without a matrix; the order of the signals does not matter."""

STORAGE_OR_ALL = """
uuuu fine uuud ill uudu dead uudd dead uduu ill udud ill uddu dead uddd dead
duuu ill duud ill dudu dead dudd dead dduu ill ddud ill dddu dead dddd dead
"""
"""By a matrix that recovers whoever has lost the storage network (the third)."""


def table(text):
    words = text.split()
    return dict(zip(words[::2], (MEANINGS[word] for word in words[1::2]), strict=True))


def signals(letters):
    return {name: LETTERS[letter] for name, letter in zip(NAMES, letters, strict=False)}


def document(is_recovered, names=NAMES):
    rows = [
        {"health": list(health), "action": ["recovery"] if is_recovered(health) else []}
        for health in itertools.product(("up", "down"), repeat=len(names))
    ]
    return {"sequence": list(names), "matrix": rows}


def storage(health):
    return health[2] == "down"


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_every_combination_without_a_matrix(width):
    expected = table(AGREEMENT)
    for letters in itertools.product(LETTERS, repeat=width):
        row = "".join(sorted(letters, key="udf?".index))

        assert Agreement().meaning(signals(letters)) is expected[row], letters


def test_every_combination_of_up_and_down_with_a_matrix():
    matrix = parse(document(storage), NAMES)
    expected = table(STORAGE_OR_ALL)
    assert len(expected) == 16
    for row, meaning in expected.items():
        assert matrix.meaning(signals(row)) is meaning, row


def test_every_combination_with_a_matrix():
    matrix = parse(document(storage), NAMES)
    count = collections.Counter()
    for letters in itertools.product(LETTERS, repeat=4):
        meaning = matrix.meaning(signals(letters))
        count[meaning] += 1

        # the storage network decides alone, and only if it is down for certain
        assert (meaning is Meaning.DOWN) == (letters[2] == "d"), letters
        assert (meaning is Meaning.UNKNOWN) == (set(letters) == {"?"}), letters
        is_fine = set(letters) <= {"u", "?"} and "u" in letters
        assert (meaning is Meaning.FINE) == is_fine, letters
    assert count == {
        Meaning.DOWN: 64,
        Meaning.UNKNOWN: 1,
        Meaning.FINE: 15,
        Meaning.DEGRADED: 256 - 80,
    }


def test_one_lost_network_is_no_death_unless_the_matrix_says_so():
    assert Agreement().meaning(signals("uuud")) is Meaning.DEGRADED
    only_all = parse(document(lambda health: set(health) == {"down"}), NAMES)
    for letters in itertools.product(LETTERS, repeat=4):
        assert (only_all.meaning(signals(letters)) is Meaning.DOWN) == (set(letters) == {"d"})


def test_signal_that_is_absent_is_unknown():
    matrix = parse(document(storage), NAMES)

    assert matrix.meaning({"storage": Signal.DOWN}) is Meaning.DOWN
    assert matrix.meaning({"power": Signal.DOWN}) is Meaning.DEGRADED
    assert matrix.meaning({}) is Meaning.UNKNOWN


def changed(change):
    found = document(storage, NAMES[:3])
    change(found)
    return found


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda d: d["matrix"].pop(3), "there is no row for the health [up, down, down]"),
        (lambda d: d.update(sequence=["manage", "tenant", "disk"]), "no signal 'disk'"),
        (lambda d: d.update(sequence=["manage", "manage", "storage"]), "stands there twice"),
        (lambda d: d.update(sequence=[]), "sequence: needs a list"),
        (lambda d: d.update(matrix="all"), "matrix is no list"),
        (lambda d: d.pop("matrix"), "needs a mapping with sequence and matrix"),
        (lambda d: d["matrix"][1].update(health=["up", "down"]), "row 2: health needs 3 times"),
        (lambda d: d["matrix"][1].update(health=["up", "down", "so"]), "row 2: health needs 3"),
        (lambda d: d["matrix"][1].update(action=["reboot"]), "row 2: action is [recovery] or []"),
        (lambda d: d["matrix"].__setitem__(4, "x"), "row 5: needs health and action"),
        (lambda d: d["matrix"].append(d["matrix"][0]), "row 9: an earlier row has the health"),
        (lambda d: d["matrix"][0].update(action=["recovery"]), "[up, up, up] is to be recovered"),
    ],
)
def test_file_that_is_wrong_is_refused_naming_file_and_row(tmp_path, change, problem):
    path = tmp_path / "matrix.yaml"
    path.write_text(yaml.safe_dump(changed(change)))

    with pytest.raises(errors.ConfigInvalid) as raised:
        load(str(path), NAMES, group="host", option="matrix_file")

    assert str(path) in str(raised.value)
    assert problem in str(raised.value)


@pytest.mark.parametrize("text", ["", "{", "- 5", "\x00", "sequence: 5"])
def test_file_that_is_no_matrix_is_refused(tmp_path, text):
    path = tmp_path / "matrix.yaml"
    path.write_text(text)

    with pytest.raises(errors.ConfigInvalid):
        load(str(path), NAMES, group="host", option="matrix_file")
