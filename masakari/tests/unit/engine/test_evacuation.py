import pytest

from masakari.engine.evacuation import Treatment, treatment


@pytest.mark.parametrize(
    ("vm_state", "task_state", "power_state", "expected"),
    [
        ("active", None, 1, Treatment()),
        ("active", "rebooting", 1, Treatment(reset=True)),
        ("stopped", None, 4, Treatment(stop=True)),
        ("stopped", "powering-on", 4, Treatment(reset=True, stop=True)),
        ("error", None, 0, Treatment(stop=True, error=True)),
        ("error", "spawning", 0, Treatment(reset=True, stop=True, error=True)),
        ("paused", None, 3, Treatment(reset=True, stop=True)),
        ("suspended", None, 7, Treatment(reset=True, stop=True)),
        ("rescued", None, 1, Treatment(reset=True, stop=True)),
        ("building", "spawning", 0, Treatment(reset=True, stop=True)),
        ("resized", None, 1, Treatment(reset=True)),
        ("resized", None, 4, Treatment(reset=True, stop=True)),
    ],
)
def test_treatment(vm_state, task_state, power_state, expected):
    assert treatment(vm_state, task_state, power_state) == expected
