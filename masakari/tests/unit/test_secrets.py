"""What the functional tests look for in the logs of all programs."""

import pytest

from masakari.tests.functional.scan import found_in


@pytest.mark.parametrize(
    "line",
    [
        "cannot connect to mysql+pymysql://masakari:secret@127.0.0.1:3306/masakari",
        "password = secret",
        "{'auth': {'password': 'secret'}}",
        "GET /v1/segments with admin-token",
        '-H "X-Auth-Token: 0123456789abcdef"',
        "gAAAAABmV3c0Q2ZkZjA5ZjQwNzE0",
    ],
)
def test_secret_is_found(line):
    assert found_in(f"a line\n{line}\nanother one") == [line]


@pytest.mark.parametrize(
    "line",
    [
        "[api] password: is not set",
        '-H "X-Auth-Token: {SHA256}0123456789abcdef"',
        "keystonemiddleware.auth_token: a secret is kept",
        "mysql+pymysql://masakari:***@127.0.0.1:3306/masakari",
    ],
)
def test_what_is_no_secret_is_not(line):
    assert found_in(line) == []
