"""The description of the API is served to whoever has a token."""

import json
import subprocess
import sys

import pytest

from masakari.api import documents


@pytest.mark.parametrize(
    "path", ["/openapi.json", "/openapi", "/0123456789abcdef0123456789abcdef/openapi.json"]
)
def test_document_is_served(api, path):
    answer = api.get(path)

    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.json == documents.document()


@pytest.mark.parametrize(("user", "status"), [("demo", 200), ("reader", 200), (None, 401)])
def test_document_needs_a_token_and_no_role(as_user, user, status):
    assert as_user(user).get("/openapi.json").status == status


def test_document_is_printed_without_configuration(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "masakari.cmd.manage", "api", "openapi"],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        check=True,
    )

    assert json.loads(run.stdout) == documents.document()
    assert run.stderr == b""
