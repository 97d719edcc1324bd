"""Tokens of a real Keystone: what the API says of one that is good, and of one that was revoked."""

import pytest

from masakari.tests.functional.realcloud.programs import PORT

pytestmark = pytest.mark.realcloud


@pytest.fixture
def list_segments(bed, deployment):
    """Runs `openstack segment list` with nothing but a token."""

    def run(token):
        alone = {
            "OS_AUTH_TYPE": "admin_token",
            "OS_ENDPOINT": f"http://127.0.0.1:{PORT}/v1",
            "OS_TOKEN": token,
        }
        return bed.try_command_line(alone, "segment", "list", "-f", "json")

    return run


def issue(bed):
    return bed.command_line("token", "issue", "-f", "value", "-c", "id").strip()


def test_token_is_enough(bed, list_segments):
    done = list_segments(issue(bed))

    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_revoked_token_is_refused(bed, deployment, list_segments):
    token = issue(bed)
    bed.command_line("token", "revoke", token)

    done = list_segments(token)

    # the client does not tell why it found no version document
    assert (done.returncode, done.stdout) == (1, "")
    assert deployment.api.said("Authorization failed for token")
    assert not deployment.api.said(token)


def test_user_without_a_role_in_the_service_is_refused(bed, deployment):
    bed.command_line("user", "create", "guest", "--password", "secret", "--or-show")
    bed.command_line("role", "add", "member", "--user", "guest", "--project", "admin")

    done = bed.try_command_line(bed.env | {"OS_USERNAME": "guest"}, "segment", "list")

    assert done.returncode != 0
    assert "403" in done.stderr
