import dataclasses

import pytest

from masakari.cloud import Server
from masakari.db.models import VMove
from masakari.engine import selection
from masakari.states import VMoveStatus


def server(name, ha=None, **kwargs):
    metadata = {} if ha is None else {"HA_Enabled": ha}
    fields = {"host": "compute1", "vm_state": "active", "metadata": metadata, **kwargs}
    return Server(id=f"id-{name}", name=name, **fields)


RULES = selection.Rules(
    ha_key="HA_Enabled",
    all_servers=True,
    ignore_error=False,
    has_local_disks=False,
    excluded=lambda server: None,
)


def select(servers, before=None, **rules):
    chosen = dataclasses.replace(RULES, **rules)
    return selection.select(servers, "compute1", chosen, before or {})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("True", True),
        ("on", True),
        ("YES", True),
        ("1", True),
        ("false", False),
        ("0", False),
        ("", False),
        ("perhaps", False),
    ],
)
def test_is_ha_enabled_value(value, expected):
    assert selection.is_ha_enabled(server("a", ha=value), "HA_Enabled") is expected


def test_is_ha_enabled_key_missing_is_false():
    assert selection.is_ha_enabled(server("a"), "HA_Enabled") is False


def test_select_ha_enabled_come_first_in_their_order():
    servers = [server("a"), server("b", ha="true"), server("c"), server("d", ha="true")]

    moves = select(servers)

    assert [m.instance_name for m in moves] == ["b", "d", "a", "c"]
    assert [m.rank for m in moves] == [0, 1, 2, 3]


def test_select_only_ha_enabled_leaves_the_others_alone_and_says_why():
    moves = select([server("a"), server("b", ha="true")], all_servers=False)

    assert {m.instance_name: m.status for m in moves} == {
        "a": VMoveStatus.IGNORED,
        "b": VMoveStatus.PENDING,
    }
    assert "HA_Enabled" in moves[1].message


def test_select_error_state_ignored_where_configured():
    servers = [server("a", vm_state="error"), server("b")]

    moves = {m.instance_name: m for m in select(servers, ignore_error=True)}

    assert moves["a"].status == VMoveStatus.IGNORED
    assert moves["b"].status == VMoveStatus.PENDING


@pytest.mark.parametrize(
    "state",
    [{"vm_state": "soft-delete"}, {"task_state": "deleting"}, {"vm_state": "shelved_offloaded"}],
)
def test_select_deleted_by_owner_is_left_alone(state):
    (move,) = select([server("a", ha="true", **state)])

    assert move.status == VMoveStatus.IGNORED


def vmove(instance_uuid, attempt, **kwargs):
    nothing = dict.fromkeys(VMove.__slots__)
    fields = {"instance_uuid": instance_uuid, "attempt": attempt, "chapter": 1, **kwargs}
    return VMove(**{**nothing, **fields})


def test_select_state_of_an_earlier_attempt_wins():
    """The first attempt reset the VM to error; its owner had it paused."""
    before = selection.earliest(
        [vmove("id-a", 2, vm_state="error"), vmove("id-a", 1, vm_state="paused", power_state=3)]
    )

    (move,) = select([server("a", vm_state="error")], before=before)

    assert (move.vm_state, move.power_state) == ("paused", 3)


def test_earliest_is_the_first_chapter_of_the_first_attempt():
    moves = [
        vmove("id-a", 2, chapter=1, rank=1, vm_state="error"),
        vmove("id-a", 1, chapter=2, rank=2, vm_state="error"),
        vmove("id-a", 1, chapter=1, rank=3, vm_state="active"),
        vmove("id-b", 1, chapter=1, rank=5),  # only observed: nobody looked how it was
        vmove("id-b", 1, chapter=2, rank=4, vm_state="active"),
    ]

    found = selection.earliest(moves)

    assert {vm: move.rank for vm, move in found.items()} == {"id-a": 3, "id-b": 4}


@pytest.mark.parametrize(
    ("local", "from_volume", "expected"),
    [
        (False, False, VMoveStatus.PENDING),
        (False, True, VMoveStatus.PENDING),
        (True, False, VMoveStatus.IGNORED),
        (True, True, VMoveStatus.PENDING),
    ],
    ids=["shared, image", "shared, volume", "local, image", "local, volume"],
)
def test_select_by_where_the_disk_is(local, from_volume, expected):
    (move,) = select([server("a", boots_from_volume=from_volume)], has_local_disks=local)

    assert move.status == expected
    assert ("disk" in (move.message or "")) == (expected == VMoveStatus.IGNORED)


def test_select_excluded_is_left_alone_and_the_rule_is_named():
    def excluded(server):
        return "names: test-*" if server.name.startswith("test-") else None

    moves = select([server("test-1", ha="true"), server("web1")], excluded=excluded)

    assert [(m.instance_name, m.status, m.message) for m in moves] == [
        ("test-1", VMoveStatus.IGNORED, "Left alone: names: test-*."),
        ("web1", VMoveStatus.PENDING, None),
    ]


REASONS = {
    "deleted": ({"task_state": "deleting"}, "Deleted"),
    "excluded": ({}, "Left alone: names"),
    "not HA-enabled": ({"excluded": None}, "Not HA-enabled"),
    "in error": ({"excluded": None, "all_servers": True}, "In vm_state error"),
    "disk lost": (
        {"excluded": None, "all_servers": True, "ignore_error": False},
        "Its disk was on",
    ),
}


@pytest.mark.parametrize(("better", "said"), REASONS.values(), ids=REASONS)
def test_select_several_reasons_the_first_is_told(better, said):
    """Everything speaks against the VM, except what is *better*."""
    rules = {
        "all_servers": False,
        "ignore_error": True,
        "has_local_disks": True,
        "excluded": "names: *",
        **better,
    }
    why = rules.pop("excluded")
    vm = server("a", vm_state="error", task_state=rules.pop("task_state", None))

    (move,) = select([vm], excluded=lambda _: why, **rules)

    assert move.status == VMoveStatus.IGNORED
    assert move.message.startswith(said)


def test_select_ignore_error_means_the_state_before_we_touched_it():
    """A first try that failed has left it in error; its owner had it active."""
    before = selection.earliest([vmove("id-a", 1, chapter=1, vm_state="active")])

    (move,) = select([server("a", vm_state="error")], before, ignore_error=True)

    assert move.status == VMoveStatus.PENDING
