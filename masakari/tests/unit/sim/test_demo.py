"""What the demo tells besides the story; the whole of it is a functional test."""

import pytest

from masakari.sim import demo


@pytest.fixture
def programs(tmp_path):
    return tmp_path / "bin"


def provide(directory):
    directory.mkdir()
    program = directory / "openstack"
    program.touch()
    program.chmod(0o755)


def test_openstack_that_is_found_needs_nothing(programs, tmp_path):
    provide(tmp_path / "usr")

    assert demo.openstack_at_hand(programs, str(tmp_path / "usr")) == []


def test_openstack_beside_python_needs_the_path(programs, tmp_path):
    provide(programs)

    assert demo.openstack_at_hand(programs, str(tmp_path)) == [f"export PATH={programs}:$PATH"]


def test_openstack_that_is_missing_is_to_be_installed(programs, tmp_path):
    assert demo.openstack_at_hand(programs, str(tmp_path)) == [
        f"{programs}/pip install python-openstackclient python-masakariclient",
        f"export PATH={programs}:$PATH",
    ]
