"""Where configuration files are looked for."""

import pathlib

import pytest

from masakari.cmd import files


@pytest.fixture
def home(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def lay(home: pathlib.Path, *names: str) -> None:
    for name in names:
        path = home / name
        if name.endswith(".d"):
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()


def found(home: pathlib.Path, project: str, program: str) -> list[str]:
    places = files.default_places(project, program)
    return [str(pathlib.Path(path).relative_to(home)) for path in places.files + places.directories]


def test_files_and_overlays_of_project_and_program_are_found(home: pathlib.Path) -> None:
    lay(home, ".masakari/masakari.conf", "masakari-engine.conf", ".masakari/masakari.conf.d")
    lay(home, ".masakari/masakari-engine.conf.d", ".masakari/masakari-api.conf")

    assert found(home, "masakari", "masakari-engine") == [
        ".masakari/masakari.conf",
        "masakari-engine.conf",
        ".masakari/masakari.conf.d",
        ".masakari/masakari-engine.conf.d",
    ]


@pytest.mark.parametrize("spelling", ["masakarimonitors", "masakari-monitors"])
def test_monitors_are_spelt_in_two_ways(home: pathlib.Path, spelling: str) -> None:
    lay(home, f".{spelling}/{spelling}.conf", f".{spelling}/{spelling}.conf.d")

    assert found(home, "masakarimonitors", "masakari-hostmonitor") == [
        f".{spelling}/{spelling}.conf",
        f".{spelling}/{spelling}.conf.d",
    ]


def test_first_spelling_of_the_monitors_counts(home: pathlib.Path) -> None:
    lay(home, ".masakarimonitors/masakarimonitors.conf")
    lay(home, ".masakari-monitors/masakari-monitors.conf")

    assert found(home, "masakarimonitors", "masakari-hostmonitor") == [
        ".masakarimonitors/masakarimonitors.conf"
    ]


def test_directory_of_the_wsgi_application_with_and_without_overlay(home: pathlib.Path) -> None:
    file = str(home / "masakari.conf")

    assert files.places_in(str(home), "masakari") == files.Places([file], [])
    lay(home, "masakari.conf.d")
    assert files.places_in(str(home), "masakari") == files.Places(
        [file], [str(home / "masakari.conf.d")]
    )
