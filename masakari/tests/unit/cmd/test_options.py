"""Options are parsed and checked before anything begins: also the libraries'."""

import pathlib
from collections.abc import Callable

import pytest
from oslo_config import cfg

from masakari.clock import SystemClock
from masakari.cmd import api, common, standalone
from masakari.errors import ConfigInvalid
from masakari.tests.unit.db.clocks import ManualClock

Configure = Callable[..., cfg.ConfigOpts]

CREDENTIALS = """
[keystone_authtoken]
auth_type = password
auth_url = http://127.0.0.1:9/v3
username = masakari
password = x
project_name = service
default_domain_id = default
"""


@pytest.fixture
def configure(keep_logging: None, tmp_path: pathlib.Path) -> Configure:
    """The options of masakari-standalone, which has all, from a file with that text."""

    def call(text: str = "") -> cfg.ConfigOpts:
        path = tmp_path / "masakari.conf"
        path.write_text(f"[DEFAULT]\nstate_path = {tmp_path}/state\n{text}\n{CREDENTIALS}")
        return common.configure(
            cfg.ConfigOpts(), "prog", ["--config-file", str(path)], register=standalone.register
        )

    return call


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("debug = maybe", "[DEFAULT] debug: 'maybe' is no Boolean value"),
        ("host = a/b", "[DEFAULT] host: a/b is not a valid host address"),
        (
            "osapi_masakari_link_prefix = foo",
            "[DEFAULT] osapi_masakari_link_prefix: 'foo' is not an http or https URL",
        ),
        (
            "os_privileged_user_auth_url = keystone:5000",
            "[DEFAULT] os_privileged_user_auth_url: 'keystone:5000' is not an http or https URL",
        ),
        (
            "graceful_shutdown_timeout = -5",
            "[DEFAULT] graceful_shutdown_timeout: -5 is negative; 0 means without limit",
        ),
        ("verify_interval = nan", "[DEFAULT] verify_interval: nan is not a finite number"),
        ("[engine]\nlease = nan", "[engine] lease: nan is not a finite number"),
        ("[nova]\ntimeout = inf", "[nova] timeout: inf is not a finite number"),
        (
            "[host]\nmonitoring_interval = nan",
            "[host] monitoring_interval: nan is not a finite number",
        ),
        (
            "[api]\nendpoint_override = http://h:port",
            "[api] endpoint_override: 'http://h:port' is not an http or https URL",
        ),
        (
            "[osapi_v1]\nproject_id_regex = [",
            "[osapi_v1] project_id_regex: '[' is not a regular expression: "
            "unterminated character set at position 0",
        ),
        (
            "[oslo_middleware]\nmax_request_body_size = x",
            "[oslo_middleware] max_request_body_size: 'x' is not a number",
        ),
        (
            "[oslo_messaging_rabbit]\nrabbit_retry_interval = x",
            "[oslo_messaging_rabbit] rabbit_retry_interval: 'x' is not a number",
        ),
        (
            "[oslo_messaging_rabbit]\nheartbeat_rate = $nobody",
            "[oslo_messaging_rabbit] heartbeat_rate: no such option nobody",
        ),
        (
            "[taskflow_driver_recovery_flows]\n"
            "host_auto_failure_recovery_tasks = main:['a'],during:['b']",
            "[taskflow_driver_recovery_flows] host_auto_failure_recovery_tasks: "
            "'during' is not one of pre, main, post",
        ),
        (
            "[taskflow_driver_recovery_flows]\nhost_rh_failure_recovery_tasks = {main:['a']}",
            "[taskflow_driver_recovery_flows] host_rh_failure_recovery_tasks: "
            "\"{main:['a']}\" is not of the form pre:[...],main:[...],post:[...]",
        ),
        (
            "[taskflow_driver_recovery_flows]\ninstance_failure_recovery_tasks = main:['a'",
            "[taskflow_driver_recovery_flows] instance_failure_recovery_tasks: "
            "\"main:['a'\" is not of the form pre:[...],main:[...],post:[...]",
        ),
        (
            "[taskflow_driver_recovery_flows]\nprocess_failure_recovery_tasks = main:['a',]",
            "[taskflow_driver_recovery_flows] process_failure_recovery_tasks: "
            "'' is not the name of a task",
        ),
        (
            "[taskflow_driver_recovery_flows]\nprocess_failure_recovery_tasks = main:['a\"]",
            "[taskflow_driver_recovery_flows] process_failure_recovery_tasks: "
            "'\\'a\"' is not the name of a task",
        ),
        (
            "[taskflow_driver_recovery_flows]\n"
            "process_failure_recovery_tasks = main:['a'],main:['b']",
            "[taskflow_driver_recovery_flows] process_failure_recovery_tasks: "
            "'main' is given twice",
        ),
        (
            "[taskflow_driver_recovery_flows]\n"
            "process_failure_recovery_tasks = pre:['a'],main:['b','a']",
            "[taskflow_driver_recovery_flows] process_failure_recovery_tasks: "
            "the task a is named twice",
        ),
        (
            "[taskflow_driver_recovery_flows]\nprocess_failure_recovery_tasks =",
            "[taskflow_driver_recovery_flows] process_failure_recovery_tasks: "
            "no task is named; to do nothing, name no_op",
        ),
        (
            "[instance_failure]\nevents = WATCHDOG/WATCHDOG_RESET:reboot",
            "[instance_failure] events: WATCHDOG/WATCHDOG_RESET: "
            "'reboot' is not one of restart, ignore",
        ),
        (
            "[instance_failure]\nevents = WATCHDOG_RESET:restart",
            "[instance_failure] events: 'WATCHDOG_RESET' is not of the form EVENT/DETAIL",
        ),
        (
            "[instance_failure]\nevents = REBOOT/UNKNOWN",
            "[instance_failure] events: 'REBOOT/UNKNOWN' is not of the form "
            "EVENT/DETAIL:restart|ignore",
        ),
        (
            "[process_failure]\nprocesses = ntpd:stop",
            "[process_failure] processes: ntpd: 'stop' is not one of ignore, disable, notify",
        ),
        (
            "[process_failure]\nprocesses = :ignore",
            "[process_failure] processes: '' is not of the form PROCESS",
        ),
        (
            "[process_failure]\nprocesses = ntpd:ignore,ntpd:notify",
            "[process_failure] processes: 'ntpd' is given twice",
        ),
        (
            "[process_failure]\nprocesses = nova-compute:ignore",
            "[process_failure] processes: 'nova-compute' cannot be given: "
            "the host is always disabled when it fails",
        ),
        (
            "[process_failure]\nother_processes = disabled",
            "[process_failure] other_processes: Valid values are [ignore, disable, notify], "
            "but found 'disabled'",
        ),
        (
            "[host_failure]\nephemeral_storage = remote",
            "[host_failure] ephemeral_storage: Valid values are [shared, local], "
            "but found 'remote'",
        ),
        (
            "[host_failure]\nephemeral_storage_by_aggregate = rack1:yes",
            "[host_failure] ephemeral_storage_by_aggregate: rack1: "
            "'yes' is not one of shared, local",
        ),
        (
            "[host_failure]\nrecovery_delay = -1",
            "[host_failure] recovery_delay: Should be greater than or equal to 0",
        ),
        (
            "[engine]\nretry_limit = 0",
            "[engine] retry_limit: Should be greater than or equal to 1",
        ),
    ],
)
def test_impossible_value_is_refused_and_named(
    configure: Configure, text: str, sentence: str
) -> None:
    with pytest.raises(ConfigInvalid) as e:
        configure(text)

    assert str(e.value).startswith(sentence)
    assert "LocationInfo" not in str(e.value)


@pytest.mark.parametrize("url", ["", "https://h:8774/masakari", "http://[::1]:15868"])
def test_url_of_http_is_taken(configure: Configure, url: str) -> None:
    conf = configure(f"osapi_masakari_link_prefix = {url}")

    assert conf.osapi_masakari_link_prefix == url


def test_configure_touches_no_disk(configure: Configure, tmp_path: pathlib.Path) -> None:
    api.make_application(configure(), SystemClock())

    assert not (tmp_path / "state").exists()


def declared(conf: cfg.ConfigOpts) -> set[str]:
    """Names of all options."""
    return {
        f"[{name}] {option}"
        for name in conf
        for option in (conf[name] if isinstance(conf[name], cfg.ConfigOpts.GroupAttr) else ())
    }


def test_libraries_declare_nothing_of_concern_later(configure: Configure) -> None:
    """What is declared while the parts are put together is checked as well, but not later."""
    conf = configure("auth_strategy = noauth2")
    before = declared(conf)

    api.make_application(conf, SystemClock())

    later = {name.partition("]")[0] for name in declared(conf) - before}
    assert later <= {"[keystone_authtoken", "[oslo_policy"}


def test_option_declared_while_wiring_is_checked(configure: Configure) -> None:
    conf = configure("auth_strategy = noauth2\n[oslo_policy]\nremote_timeout = nan")

    with pytest.raises(ConfigInvalid, match=r"\[oslo_policy\] remote_timeout: nan"):
        api.make_application(conf, ManualClock())


# ---- standalone


@pytest.mark.parametrize("value", ["consul", "default"])
def test_standalone_other_driver_is_refused(configure: Configure, value: str) -> None:
    conf = configure(f"[host]\nmonitoring_driver = {value}")

    with pytest.raises(ConfigInvalid, match=r"\[host\] monitoring_driver: .*" + value):
        standalone.check_hostmonitor(conf)


def test_standalone_takes_no_pushes(configure: Configure) -> None:
    conf = configure("[host]\npush = nova_notifications")

    with pytest.raises(ConfigInvalid, match=r"\[host\] push: .*masakari-hostmonitor"):
        standalone.check_hostmonitor(conf)


@pytest.mark.parametrize("text", ["", "[host]\nmonitoring_driver = nova"])
def test_standalone_takes_its_own_driver(configure: Configure, text: str) -> None:
    standalone.check_hostmonitor(configure(text))
