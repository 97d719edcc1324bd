"""process_list.yaml: what is in it, what cannot be, and what is in force."""

import logging

import pytest

from masakari.errors import ConfigInvalid
from masakari.monitors.processes.process_list import ProcessList, Unreadable, parse

OPENSTACK = """\
# Define the monitoring processes as follows:
-
    # libvirt-bin
    process_name: /usr/sbin/libvirtd
    start_command: systemctl start libvirt-bin
    pre_start_command:
    post_start_command:
    restart_command: systemctl restart libvirt-bin
    pre_restart_command: sh -c 'echo "a b"'
    post_restart_command:
    run_as_root: True
-
    process_name: nova-compute
    start_command:
    pre_start_command:
    post_start_command:
    restart_command:
    pre_restart_command:
    post_restart_command:
    run_as_root: False
"""
UNIT = "- {process_name: libvirtd, unit: libvirtd}\n"


def test_list_of_openstack():
    first, second = parse(OPENSTACK)

    assert first.process_name == "/usr/sbin/libvirtd"
    assert first.reported_name == "libvirtd"
    assert first.start == (("systemctl", "start", "libvirt-bin"),)
    assert first.restart == (
        ("sh", "-c", 'echo "a b"'),
        ("systemctl", "restart", "libvirt-bin"),
    )
    assert first.run_as_root
    assert (second.start, second.restart, second.run_as_root) == ((), (), False)


def test_unit_needs_no_commands():
    (entry,) = parse(UNIT)

    assert (entry.unit, entry.start, entry.restart) == ("libvirtd.service", (), ())


@pytest.mark.parametrize(
    ("written", "unit"),
    [
        ("nova-compute", "nova-compute.service"),
        ("getty@tty1", "getty@tty1.service"),
        ("openvpn@a@b.c.service", "openvpn@a@b.c.service"),
        ("dbus.socket", "dbus.socket"),
        ("dev-disk-by\\x2dlabel-x.mount", "dev-disk-by\\x2dlabel-x.mount"),
        ("a" * 247, "a" * 247 + ".service"),
    ],
)
def test_names_of_units(written, unit):
    (entry,) = parse(f"- {{process_name: x, unit: '{written}'}}")

    assert entry.unit == unit


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "it is to be a list of processes, not nothing"),
        ("a: b", "it is to be a list of processes, not a dict"),
        ("- [", "it is no YAML: "),
        ("- x", "entry 1: it is to have keys and values, and is a str"),
        ("- {unit: x}", "entry 1: process_name missing"),
        ("- {process_name: x}", "entry 1 (x): start_command, pre_start_command, "),
        (UNIT + "- {process_name: 5, unit: x}", "entry 2, process_name: it is to be a name"),
        ("- {process_name: x/, unit: x}", "entry 1 (x/), process_name: behind the last slash"),
        ("- {process_name: x, unit: a/b}", "entry 1 (x), unit: 'a/b' is no name of a unit"),
        ("- {process_name: x, unit: }", "entry 1 (x): start_command, "),
        ("- {process_name: x, unit: 5}", "entry 1 (x), unit: it is to be a unit's name, not 5"),
        *(
            (f"- {{process_name: x, unit: '{unit}'}}", f"entry 1 (x), unit: '{unit}' is no name")
            for unit in ("nova.compute", "foo@.service", "foo@", ".service", "a b", "\u00e4.socket")
        ),
        (f"- {{process_name: x, unit: {'a' * 248}}}", "entry 1 (x), unit: 'aaa"),
        ("- {process_name: x, unit: y, foo: 1}", "entry 1 (x): foo unknown"),
        (
            '- {process_name: x, unit: y, start_command: "sh -c \'a"}',
            "entry 1 (x), start_command: no closing quotation",
        ),
        (
            "- {process_name: x, unit: y, start_command: [a]}",
            "entry 1 (x), start_command: it is to be a command, not a list",
        ),
        (
            "- {process_name: x, unit: y, run_as_root: maybe}",
            "entry 1 (x), run_as_root: it is to be true or false, not 'maybe'",
        ),
        (UNIT + UNIT, "entry 2, process_name: notifications would call it 'libvirtd', as entry 1"),
    ],
)
def test_what_cannot_be_names_entry_and_key(text, sentence):
    with pytest.raises(Unreadable) as caught:
        parse(text)

    assert str(caught.value).startswith(sentence)


def test_list_that_cannot_be_read_at_the_start_is_a_wrong_option(tmp_path):
    with pytest.raises(ConfigInvalid) as caught:
        ProcessList(str(tmp_path / "none.yaml"))

    assert "[process] process_list_path: " in str(caught.value)
    assert "No such file" in str(caught.value)


def test_broken_list_leaves_the_last_good_one_in_force(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    path = tmp_path / "list.yaml"
    path.write_text(UNIT)
    listed = ProcessList(str(path))
    assert not listed.reload()

    path.write_text("- {")
    assert not listed.reload()
    assert not listed.reload()
    path.unlink()
    assert not listed.reload()
    assert [entry.process_name for entry in listed.entries] == ["libvirtd"]
    assert len([r for r in caplog.records if r.levelname == "ERROR"]) == 2

    path.write_text(OPENSTACK)
    assert listed.reload()
    assert not listed.reload()
    assert len(listed.entries) == 2
    assert "can be used again" in caplog.text
