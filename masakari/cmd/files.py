"""Where configuration files are looked for when none are named."""

import pathlib
from dataclasses import dataclass

from oslo_config import cfg

SPELLINGS = {"masakarimonitors": "masakari-monitors"}
"""Names of projects, as deployments spell them, too."""


@dataclass(frozen=True, slots=True)
class Places:
    """What is read in the absence of --config-file and --config-dir, in this order."""

    files: list[str]
    directories: list[str]


def default_places(project: str, program: str) -> Places:
    """The files and directories of the project and of the program that exist.

    Another spelling of the project counts where there is nothing of the first one.
    """
    found = _places(project, program)
    if project not in SPELLINGS or _has(found, project):
        return found
    other = _places(SPELLINGS[project], program)
    return Places(
        list(dict.fromkeys(other.files + found.files)),
        list(dict.fromkeys(other.directories + found.directories)),
    )


def places_in(directory: str, project: str) -> Places:
    """The project's file in *directory*, which has to be there, and what overlays it."""
    overlay = pathlib.Path(directory, f"{project}.conf.d")
    return Places(
        [str(pathlib.Path(directory, f"{project}.conf"))],
        [str(overlay)] if overlay.is_dir() else [],
    )


def _places(project: str, program: str) -> Places:
    return Places(cfg.find_config_files(project, program), cfg.find_config_dirs(project, program))


def _has(places: Places, project: str) -> bool:
    names = {f"{project}.conf", f"{project}.conf.d"}
    return any(pathlib.Path(path).name in names for path in places.files + places.directories)
