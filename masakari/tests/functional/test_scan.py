"""What programs print is looked at for secrets."""

import subprocess

import pytest

from masakari.tests.functional import scan


@pytest.mark.parametrize("is_text", [True, False])
@pytest.mark.parametrize(("name", "is_seen"), [("masakari-leak", True), ("another", False)])
def test_secret_in_the_output_of_our_program_is_found(tmp_path, name, is_seen, is_text):
    program = tmp_path / name
    program.write_text(
        "#!/bin/sh\necho all is well\necho connecting to amqp://u:secret@rabbit >&2\n"
    )
    program.chmod(0o755)

    with scan.of_outputs() as told:
        subprocess.run([program], capture_output=True, text=is_text, check=True)

    lines = ["connecting to amqp://u:secret@rabbit"]
    assert told == ({str(program): lines} if is_seen else {})
