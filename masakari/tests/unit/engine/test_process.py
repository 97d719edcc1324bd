"""What is done when a process fails, by the configuration."""

import pytest

from masakari.engine import process
from masakari.engine.process import Answer
from masakari.states import ProcessAction

IGNORE, NOTIFY, DISABLE = ProcessAction.IGNORE, ProcessAction.NOTIFY, ProcessAction.DISABLE


@pytest.mark.parametrize(
    ("name", "processes", "others", "expected"),
    [
        ("nova-compute", {}, "ignore", Answer(DISABLE, marks=True)),
        ("sshd", {}, "notify", Answer(NOTIFY, marks=False)),
        ("sshd", {}, "ignore", Answer(IGNORE, marks=False)),
        ("sshd", {}, "disable", Answer(DISABLE, marks=False)),
        ("libvirtd", {"libvirtd": "disable"}, "ignore", Answer(DISABLE, marks=False)),
        ("libvirtd", {"libvirtd": "ignore"}, "disable", Answer(IGNORE, marks=False)),
        ("virtlogd", {"libvirtd": "disable"}, "notify", Answer(NOTIFY, marks=False)),
    ],
    ids=[
        "nova-compute marks the host",
        "by default recorded",
        "others ignored",
        "others disable, and do not mark",
        "named: disable, and not mark",
        "named: ignored, others disable",
        "another is named",
    ],
)
def test_answer(conf, name, processes, others, expected):
    conf.set_override("processes", processes, "process_failure")
    conf.set_override("other_processes", others, "process_failure")

    found = process.answer(conf, name)

    assert found == expected
    assert found.disables == (expected.action == DISABLE)
