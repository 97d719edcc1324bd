import pytest

from masakari.cloud import Server
from masakari.db.models import VMove
from masakari.engine import selection
from masakari.states import VMoveStatus


def server(name, ha=None, **kwargs):
    metadata = {} if ha is None else {"HA_Enabled": ha}
    fields = {"host": "compute1", "vm_state": "active", "metadata": metadata, **kwargs}
    return Server(id=f"id-{name}", name=name, **fields)


def select(servers, **kwargs):
    options = {
        "source": "compute1",
        "ha_key": "HA_Enabled",
        "all_servers": True,
        "ignore_error": False,
        "before": {},
    }
    return selection.select(servers, **{**options, **kwargs})


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
    fields = {"instance_uuid": instance_uuid, "attempt": attempt, "vm_state": "active", **kwargs}
    return VMove(**{**nothing, **fields})


def test_select_state_of_an_earlier_attempt_wins():
    """The first attempt reset the VM to error; its owner had it paused."""
    before = selection.earliest(
        [vmove("id-a", 2, vm_state="error"), vmove("id-a", 1, vm_state="paused", power_state=3)]
    )

    (move,) = select([server("a", vm_state="error")], before=before)

    assert (move.vm_state, move.power_state) == ("paused", 3)
