"""How lines of scenario scripts are understood."""

import pytest

from masakari.sim import language


def power(subject, hosts, state):
    """Cut or restore the power of hosts.

    And more.
    """
    subject.append(("power", hosts, state))


def vm(subject, vms, host, state="active", task=None):
    """A VM exists."""
    subject.append(("vm", vms, host, state, task))


def slow(subject, what, vms, duration):
    """Something takes long."""
    subject.append(("slow", what, vms, duration))


def send(subject, text):
    """A text is sent."""
    subject.append(("send", text))


LANGUAGE = language.phrases(
    {
        "power HOSTS STATE=on|off": power,
        "vm VMS on HOST[ in STATE][ with task TASK]": vm,
        "WHAT=evacuation|start of VMS takes DURATION": slow,
        "send TEXT": send,
    }
)


@pytest.mark.parametrize(
    ("text", "done"),
    [
        ("power compute1 off", ("power", ["compute1"], "off")),
        ("power  a1..2   b on", ("power", ["a1", "a2", "b"], "on")),
        ("vm web1..3 on c1", ("vm", ["web1", "web2", "web3"], "c1", "active", None)),
        ("vm web1 on c1 in error", ("vm", ["web1"], "c1", "error", None)),
        (
            "vm w on c1 in error with task powering-off",
            ("vm", ["w"], "c1", "error", "powering-off"),
        ),
        ("vm w on c1 with task migrating", ("vm", ["w"], "c1", "active", "migrating")),
        (
            "evacuation of web9..11 takes 2.5",
            ("slow", "evacuation", ["web9", "web10", "web11"], 2.5),
        ),
        ("start of web1 takes 3", ("slow", "start", ["web1"], 3)),
        ("send {a: [b, c]}", ("send", "{a: [b, c]}")),
    ],
)
def test_understand_statement_does_what_it_says(text, done):
    subject = []

    language.understand(LANGUAGE, text).do(subject)

    assert subject == [done]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("power compute1 of", "say: power HOSTS STATE=on|off"),
        ("pwer compute1 off", "no statement begins with pwer"),
        ("evacuation of web1 takes long", "say: WHAT=evacuation|start of VMS takes DURATION"),
        ("power web3..1 off", r"web3\.\.1 is an empty range"),
    ],
)
def test_understand_nonsense_says_what_is_possible(text, complaint):
    with pytest.raises(language.ScriptError, match=complaint.replace("|", r"\|")):
        language.understand(LANGUAGE, text)


def test_meaning_is_first_line_of_docstring():
    assert LANGUAGE[0].meaning == "Cut or restore the power of hosts."
