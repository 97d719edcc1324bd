"""What a process has in its memory from the start: no library that it does not use."""

import subprocess
import sys

import pytest

NEEDLESS = {
    "masakari.cmd.api": ["eventlet", "alembic", "openstack", "taskflow.engines", "networkx"],
    "masakari.cmd.engine": ["eventlet"],
    "masakari.cmd.hostmonitor": ["eventlet", "alembic", "sqlalchemy"],
}
"""Libraries of many MiB, for each program."""


@pytest.mark.parametrize("program", NEEDLESS)
def test_program_imports_no_library_that_it_has_no_use_for(program: str) -> None:
    code = (
        f"import sys, {program}; "
        "print(*(name for name, module in sys.modules.items() if module is not None))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )

    loaded = done.stdout.split()
    assert program in loaded
    assert sorted(set(NEEDLESS[program]) & set(loaded)) == []
