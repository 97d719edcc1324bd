"""What is said about options that have no effect, and about misspelt ones."""

import logging
import pathlib
from collections.abc import Callable

import pytest
from oslo_config import cfg
from oslo_log import log

import masakari.conf
from masakari import rpc
from masakari.conf import review

Say = Callable[..., list[tuple[str, str]]]


@pytest.fixture
def say(tmp_path: pathlib.Path) -> Say:
    """(level, sentence) of all findings about files with these texts."""

    def call(*texts: str, monitors: bool = False) -> list[tuple[str, str]]:
        conf = cfg.ConfigOpts()
        log.register_options(conf)
        rpc.register(conf)
        (masakari.conf.register_monitors if monitors else masakari.conf.register)(conf)
        argv = []
        for number, text in enumerate(texts):
            path = tmp_path / f"{number}.conf"
            path.write_text(text)
            argv += ["--config-file", str(path)]
        conf(argv, project="masakari", default_config_files=[], default_config_dirs=[])
        ours = [*masakari.conf.list_opts(), *masakari.conf.list_monitor_opts()]
        return [(logging.getLevelName(f.level), f.text) for f in review.review(conf, ours)]

    return call


def test_nothing_set_is_nothing_said(say: Say) -> None:
    assert say("") == say("", monitors=True) == []


def test_option_without_effect_is_told_with_what_takes_its_place(say: Say) -> None:
    assert say("[DEFAULT]\nreport_interval = 10\n[wsgi]\ndefault_pool_size = 100\n") == [
        (
            "WARNING",
            "[DEFAULT] report_interval has no effect: engines own notifications for [engine] lease",
        ),
        (
            "WARNING",
            "[wsgi] default_pool_size has no effect: masakari_api_threads says how many requests "
            "a worker serves at a time",
        ),
    ]


def test_options_with_one_reason_are_told_in_one_line(say: Say) -> None:
    text = "[host]\ntcpdump_timeout = 5\ncorosync_multicast_ports = 5405\nstonith_wait = 30\n"

    assert say(text, monitors=True) == [
        (
            "WARNING",
            "[host] stonith_wait, [host] tcpdump_timeout, [host] corosync_multicast_ports have no "
            "effect: the quorum of the cluster tells whether this node is cut off",
        )
    ]


def test_value_that_is_built_in_is_not_told(say: Say) -> None:
    assert (
        say(
            "[DEFAULT]\nengine_manager = masakari.engine.manager.MasakariManager\n"
            "notification_driver = taskflow_driver\n"
        )
        == []
    )
    assert (
        say(
            "[DEFAULT]\nhostmonitor_manager = "
            "masakarimonitors.hostmonitor.host.HostmonitorManager\n"
            "processmonitor_manager = masakarimonitors.processmonitor.process."
            "ProcessmonitorManager\n[api]\napi_version = v1\n",
            monitors=True,
        )
        == []
    )


def test_another_manager_than_the_built_in_one_is_told(say: Say) -> None:
    assert say("[DEFAULT]\nengine_manager = acme.Manager\n") == [
        ("WARNING", "[DEFAULT] engine_manager has no effect: there is one engine")
    ]


def test_options_of_other_monitors_are_known(say: Say) -> None:
    text = "[libvirt]\nconnection_uri = 'qemu:///system'\n[callback]\nretry_max = 3\n"

    assert say(text, monitors=True) == []


@pytest.mark.parametrize("monitors", [False, True], ids=["server", "monitors"])
def test_options_of_our_other_programs_are_known(say: Say, monitors: bool) -> None:
    assert say("[engine]\nlease = 20\n[host]\nmonitoring_samples = 3\n", monitors=monitors) == []


def test_what_deployments_set_is_not_complained_about(say: Say) -> None:
    said = say(
        "[DEFAULT]\nenabled_apis = osapi_masakari\nuse_journal = true\n"
        "[oslo_messaging_rabbit]\nheartbeat_in_pthread = false\n"
        "[oslo_concurrency]\nlock_path = /var/lib/masakari/tmp\n"
    ) + say("[api]\nwww_authenticate_uri = http://h:5000\n", monitors=True)

    assert {level for level, _ in said} <= {"DEBUG", "INFO"}


@pytest.mark.parametrize(
    ("text", "name", "right"),
    [
        (
            "[DEFAULT]\nwait_period_after_evacuaton = 3",
            "[DEFAULT] wait_period_after_evacuaton",
            "[DEFAULT] wait_period_after_evacuation",
        ),
        (
            "[DEFAULT]\nmasakari-api-workers = 3",
            "[DEFAULT] masakari-api-workers",
            "[DEFAULT] masakari_api_workers",
        ),
        (
            "[engine]\nevacuate_all_instances = no",
            "[engine] evacuate_all_instances",
            "[host_failure] evacuate_all_instances",
        ),
        (
            "[host_failures]\nevacuate_all_instances = no",
            "[host_failures] evacuate_all_instances",
            "[host_failure] evacuate_all_instances",
        ),
        ("[taskflow]\nconection = x", "[taskflow] conection", "[taskflow] connection"),
    ],
    ids=["letter", "dashes", "other group", "misspelt group", "short"],
)
def test_misspelt_option_is_told_with_the_right_one(
    say: Say, text: str, name: str, right: str
) -> None:
    assert say(text) == [
        ("WARNING", f"{name} is no option and has no effect: did you mean {right}?")
    ]


def test_unknown_options_are_one_quiet_line(say: Say) -> None:
    assert say("[DEFAULT]\nfoo = 1\nbar = 2\n", "[engine]\nshoe_size = 43\n") == [
        ("INFO", "nobody knows these options: [DEFAULT] bar, [DEFAULT] foo, [engine] shoe_size")
    ]


def test_groups_of_others_are_their_own_business(say: Say) -> None:
    assert say("[profiler]\nenabled = yes\n[oslo_messaging_kafka]\nnonsense = 1\n") == []


def test_credentials_of_any_kind_are_known(say: Say) -> None:
    text = (
        "[api]\nauth_type = v3applicationcredential\nauth_url = http://h:5000\n"
        "application_credential_id = 1\napplication_credential_secret = x\n"
    )

    assert say(text, monitors=True) == []


def test_names_are_looked_for_in_every_file(say: Say, tmp_path: pathlib.Path) -> None:
    (tmp_path / "conf.d").mkdir()

    said = say("[DEFAULT]\n", "[DEFAULT]\nverify_intervall = 3\n")

    assert [level for level, _ in said] == ["WARNING"]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        (("host", "disable_ipmi_checks"), "disable_ipmi_check"),
        (("introspectiveinstancemonitor", "guest_monitor_interval"), "guest_monitoring_interval"),
        (("introspectiveinstancemonitor", "guest_monitor_timeout"), "guest_monitoring_timeout"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[1],
)
def test_spelling_of_the_field_is_an_alias(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture, wrong: tuple[str, str], right: str
) -> None:
    path = tmp_path / "m.conf"
    path.write_text(f"[{wrong[0]}]\n{wrong[1]} = 1\n")
    conf = cfg.ConfigOpts()
    masakari.conf.register_monitors(conf)
    conf(["--config-file", str(path)], default_config_files=[], default_config_dirs=[])

    assert conf[wrong[0]][right] == 1
    assert f'Option "{wrong[1]}" from group "{wrong[0]}" is deprecated' in caplog.text
    assert f'Use option "{right}" from group "{wrong[0]}"' in caplog.text
