"""The process monitor put together."""

import pytest
from oslo_config import cfg

from masakari import conf as conf_
from masakari.clock import SystemClock
from masakari.errors import ConfigInvalid
from masakari.monitors import processmonitor


@pytest.fixture
def build(tmp_path):
    def build(**options):
        conf = cfg.ConfigOpts()
        conf_.register_monitors(conf)
        conf([], default_config_files=[], default_config_dirs=[])
        conf.set_override("state_path", str(tmp_path))
        listed = tmp_path / "process_list.yaml"
        listed.write_text("- {process_name: libvirtd, unit: libvirtd}\n")
        for option, value in {"process_list_path": str(listed), **options}.items():
            conf.set_override(option, value, "process")
        return processmonitor.build(conf, SystemClock(), masakari=object())

    return build


def test_loops_end_with_the_one_that_tells(build):
    assert [name for name, _ in build().loops] == ["processes", "units", "reports"]


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("root_command", 'sudo "-n', "no closing quotation"),
        ("process_list_path", "/nonexistent", "/nonexistent: No such file or directory"),
    ],
    ids=["quotation", "no list"],
)
def test_bad_option_is_named_with_what_is_wrong(build, option, value, problem):
    with pytest.raises(ConfigInvalid) as raised:
        build(**{option: value})

    assert str(raised.value) == f"[process] {option}: {problem}"
