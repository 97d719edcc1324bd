"""The instance monitors put together, in front of libvirt's own driver for tests."""

import pytest
from oslo_config import cfg

from masakari import conf as conf_
from masakari.clock import SystemClock
from masakari.errors import ConfigInvalid
from masakari.monitors import instancemonitor
from masakari.monitors.instances import hypervisor

pytest.importorskip("libvirt")


@pytest.fixture
def build(tmp_path):
    def build(name=instancemonitor.INSTANCES, **options):
        conf = cfg.ConfigOpts()
        conf_.register_monitors(conf)
        conf([], default_config_files=[], default_config_dirs=[])
        conf.set_override("state_path", str(tmp_path))
        conf.set_override("connection_uri", "test:///default", "libvirt")
        for path, value in options.items():
            group, _, option = path.partition(".")
            conf.set_override(option, value, group)
        return instancemonitor.build(conf, SystemClock(), masakari=object(), name=name)

    return build


@pytest.mark.parametrize(
    ("name", "guest_heartbeats", "loops"),
    [
        (instancemonitor.INSTANCES, False, ["instances", "reports"]),
        (instancemonitor.INSTANCES, True, ["instances", "guests", "reports"]),
        (instancemonitor.GUESTS, False, ["instances", "guests", "reports"]),
    ],
    ids=["off", "on", "introspective"],
)
def test_guests_are_asked_only_where_that_is_switched_on(build, name, guest_heartbeats, loops):
    built = build(name, **{"instance.guest_heartbeats": guest_heartbeats})

    assert [loop for loop, _ in built.loops] == loops


def test_of_qemus_that_hang_libvirt_is_asked_less_often_than_it_serves(build, monkeypatch):
    made = []

    def make(*args, **options):
        made.append(options["most_calls"])
        return hypervisor.Hypervisor(*args, **options)

    monkeypatch.setattr(instancemonitor, "Hypervisor", make)
    build(**{"instance.guest_heartbeats": True})

    *_, activity = made
    assert activity < 5  # libvirt's max_client_requests


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        (
            "introspectiveinstancemonitor.qemu_guest_agent_sock_path",
            "/var/lib/(libvirt",
            "it is no regular expression: ",
        ),
        (
            "introspectiveinstancemonitor.flavor_kinds",
            {"tiny": "of"},
            "'of' is not a valid Kind: off, heartbeat or heartbeat-io",
        ),
        ("instance.report_also", ["REBOOT"], "'REBOOT' is not of the form EVENT/DETAIL"),
        ("instance.report_also", ["/UNKNOWN"], "'/UNKNOWN' is not of the form EVENT/DETAIL"),
    ],
    ids=["no regular expression", "no kind", "no detail", "no event"],
)
def test_bad_option_is_named_with_what_is_wrong(build, option, value, problem):
    with pytest.raises(ConfigInvalid) as raised:
        build(**{"instance.guest_heartbeats": True, option: value})

    group, _, name = option.partition(".")
    assert str(raised.value).startswith(f"[{group}] {name}: {problem}")
