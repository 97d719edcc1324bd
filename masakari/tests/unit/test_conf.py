"""What values of options mean; which are refused, cmd/test_options.py tells."""

import pathlib
from collections.abc import Callable

import pytest
from oslo_config import cfg, generator

import masakari.conf

Read = Callable[[str], cfg.ConfigOpts]

FLOWS = "taskflow_driver_recovery_flows"


@pytest.fixture
def read(tmp_path: pathlib.Path) -> Read:
    """The options that a file with that text gives."""

    def call(text: str) -> cfg.ConfigOpts:
        path = tmp_path / "masakari.conf"
        path.write_text(text)
        conf = cfg.ConfigOpts()
        masakari.conf.register(conf)
        conf([], project="masakari", default_config_files=[str(path)], default_config_dirs=[])
        return conf

    return call


def test_register_all_options_keeps_host_and_the_group_host_apart(tmp_path):
    path = tmp_path / "masakari.conf"
    path.write_text("[DEFAULT]\nhost = node7\n[host]\nmonitoring_samples = 3\n")
    conf = cfg.ConfigOpts()
    masakari.conf.register(conf)
    masakari.conf.register_monitors(conf)

    conf([], project="masakari", default_config_files=[str(path)], default_config_dirs=[])

    assert conf.DEFAULT.host == "node7"
    assert conf.host.monitoring_samples == 3


# ---- recovery flows


@pytest.mark.parametrize(
    "text",
    [
        "main:['a','b'],post:[],pre:['c']",
        "pre: [ 'c' ] , main: ['a', 'b']",
        'pre:["c"],main:["a","b"],post:[],',
        "main:[a,b],pre:[c],post:[ ]",
        "pre:['c'],\n  main:['a',\n        'b'],\n  post:[]",
    ],
    ids=["openstack", "spaces", "double quotes", "no quotes", "lines"],
)
def test_recovery_flow_is_read(read: Read, text: str) -> None:
    conf = read(f"[{FLOWS}]\nhost_auto_failure_recovery_tasks = {text}\n")

    assert conf[FLOWS].host_auto_failure_recovery_tasks == {
        "pre": ["c"],
        "main": ["a", "b"],
        "post": [],
    }


def test_recovery_flows_of_openstack_are_the_default(read: Read) -> None:
    flows = read("")[FLOWS]

    assert {name: list(flows[name].values()) for name in flows} == {
        "host_auto_failure_recovery_tasks": [
            ["disable_compute_service_task"],
            ["prepare_HA_enabled_instances_task"],
            ["evacuate_instances_task"],
        ],
        "host_rh_failure_recovery_tasks": [
            ["disable_compute_service_task"],
            ["prepare_HA_enabled_instances_task", "evacuate_instances_task"],
            [],
        ],
        "instance_failure_recovery_tasks": [
            ["stop_instance_task"],
            ["start_instance_task"],
            ["confirm_instance_active_task"],
        ],
        "process_failure_recovery_tasks": [
            ["disable_compute_node_task"],
            ["confirm_compute_node_disabled_task"],
            [],
        ],
    }


def test_recovery_flows_can_be_listed_alone() -> None:
    ((group, opts),) = masakari.conf.list_recovery_flow_opts()

    assert (group, len(opts)) == (FLOWS, 4)


# ---- pairs


def test_pairs_are_read(read: Read) -> None:
    conf = read(
        "[instance_failure]\nevents = WATCHDOG/WATCHDOG_RESET:restart, NEW_IN/2027:ignore\n"
        "[process_failure]\nprocesses = libvirtd : disable,ntpd:ignore\n"
        "[host_failure]\nephemeral_storage_by_aggregate = rack 1:local, az:eu:shared\n"
    )

    assert conf.instance_failure.events == {
        "WATCHDOG/WATCHDOG_RESET": "restart",
        "NEW_IN/2027": "ignore",
    }
    assert conf.process_failure.processes == {"libvirtd": "disable", "ntpd": "ignore"}
    assert conf.host_failure.ephemeral_storage_by_aggregate == {
        "rack 1": "local",
        "az:eu": "shared",
    }


def test_pairs_are_none_by_default(read: Read) -> None:
    conf = read("[instance_failure]\nevents =\n")

    assert conf.instance_failure.events == {}
    assert conf.process_failure.processes == {}
    assert conf.host_failure.ephemeral_storage_by_aggregate == {}


# ---- the sample file


def test_generated_sample_is_read_back_as_the_defaults(read: Read, tmp_path: pathlib.Path) -> None:
    sample = tmp_path / "sample"
    generator.main(["--namespace", "masakari.conf", "--output-file", str(sample)])
    lines = [line.removeprefix("#") for line in sample.read_text().splitlines()]
    options = [line for line in lines[lines.index(f"[{FLOWS}]") :] if not line.startswith(" ")]

    conf = read("\n".join(options))

    assert (
        "host_rh_failure_recovery_tasks = pre:['disable_compute_service_task'],"
        "main:['prepare_HA_enabled_instances_task','evacuate_instances_task'],post:[]"
    ) in options
    assert dict(conf[FLOWS]) == dict(read("")[FLOWS])
