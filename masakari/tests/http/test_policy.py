"""The operator's policy file: what it overrides, and what it keeps from changing."""

import pytest

from masakari.api import policy
from masakari.clock import SystemClock
from masakari.errors import ConfigInvalid
from masakari.tests.http.client import Client, host_stopped


@pytest.fixture
def policy_file(conf, tmp_path):
    policy.make_enforcer(conf)  # declares the options
    path = tmp_path / "policy.yaml"
    conf.set_override("policy_file", str(path), "oslo_policy")
    return path


@pytest.mark.parametrize(
    ("rules", "status"),
    [
        ('"os_masakari_api:segments:index": "role:reader"', 200),
        ('"os_masakari_api:segments:index": "rule:admin_or_owner"', 200),
        ('"os_masakari_api:segments:index": "is_admin:False"', 200),
        ('"os_masakari_api:segments:index": "is_admin:true"', 403),
        ('"context_is_admin": "role:READER"', 200),
        ('"admin_api": "is_admin:True or role:reader"', 200),
        ('"os_masakari_api:segments:create": "role:reader"', 403),
        ('"versions": "!"', 403),
    ],
)
def test_policy_file_overrides_the_defaults(policy_file, as_user_of, rules, status):
    policy_file.write_text(rules)

    assert as_user_of("reader").get("/segments").status == status


@pytest.fixture
def as_user_of(secured, make_client, keystone):
    """As `as_user`, but the API is made when it is called."""
    secured.set_override("auth_url", keystone.auth_url, "keystone_authtoken")
    return lambda user: make_client(headers={"X-Auth-Token": f"{user}-token"})


def test_malformed_policy_file_is_told_at_start(policy_file, as_user_of):
    policy_file.write_text("a: [")

    with pytest.raises(ConfigInvalid, match=r"\[oslo_policy\] policy_file: .*policy\.yaml"):
        as_user_of("admin")


@pytest.fixture
def policy_from(conf, tmp_path):
    """Reads the policy of a configuration file that has the lines."""

    def read(lines):
        config = tmp_path / "masakari.conf"
        config.write_text(lines)
        conf(["--config-file", str(config)], project="masakari")
        return policy.Policy(conf, SystemClock())

    return read


def warnings_about_policy(caplog):
    return [r.getMessage() for r in caplog.records if "policy_file" in r.getMessage()]


@pytest.mark.parametrize("name", ["missing.yaml", "nowhere/policy.yaml"])
def test_policy_file_that_does_not_exist_is_warned_of_once(policy_from, tmp_path, caplog, name):
    path = tmp_path / name
    for _ in range(2):
        policy_from(f"[oslo_policy]\npolicy_file = {path}\n")

    (warning,) = warnings_about_policy(caplog)
    assert warning.startswith(f"[oslo_policy] policy_file: {path} does not exist")


def test_policy_file_that_exists_is_not_warned_of(policy_from, tmp_path, caplog):
    (tmp_path / "own.yaml").write_text("{}")

    policy_from("[oslo_policy]\npolicy_file = own.yaml\n")

    assert warnings_about_policy(caplog) == []


def test_default_policy_file_may_be_absent(policy_from, caplog):
    policy_from("")

    assert warnings_about_policy(caplog) == []


def test_extension_that_is_not_discoverable_is_hidden(policy_file, as_user_of):
    policy_file.write_text('"os_masakari_api:vmoves:discoverable": "!"')
    admin = as_user_of("admin")

    assert [e["alias"] for e in admin.get("/extensions").json["extensions"]] == [
        "extensions",
        "notifications",
        "os-hosts",
        "segments",
        "versions",
    ]
    assert admin.get("/extensions/vmoves").status == 404


# ---- readers and services, who came later than most policy files

KINDS = {
    "admin": (("a", "admin"), {"project": "admin"}),
    "ops": (("o", "ops"), {"project": "demo"}),
    "reader": (("r", "reader"), {"project": "service"}),
    "sys-reader": (("r", "reader"), {"system": True}),
    "service": (("m", "service"), {"project": "service"}),
}
UNCHANGED = {
    "none": "{}",
    "guards as by default": '"admin_api": "is_admin:True"\n"context_is_admin": "role:admin"',
    "unused": '"admin_or_owner": "is_admin:True"\n"default": "rule:admin_api"',
    "one operation": '"os_masakari_api:segments:create": "role:ops"',
}
DECIDED = {
    "narrower": '"admin_api": "role:ops"',
    "wider": '"admin_api": "is_admin:True or role:ops"',
    "nobody": '"admin_api": "!"',
    "other administrators": '"context_is_admin": "role:ops"',
    "more administrators": '"context_is_admin": "role:admin or role:ops"',
    "both": '"context_is_admin": "role:ops"\n"admin_api": "is_admin:True"',
}


@pytest.fixture
def may(policy_file, secured, make_client, keystone, clock):
    """Whether a kind of user may list and report, with the policy file's text."""
    secured.set_override("auth_url", keystone.auth_url, "keystone_authtoken")
    policy_file.write_text("{}")
    application = make_client().application

    def ask(text, kind):
        policy_file.write_text(text + "\n# read again\n" * (1 + len(kind)))
        clock.sleep(policy.DECISION_S)
        who, scope = KINDS[kind]
        client = Client(
            application, headers={"X-Auth-Token": keystone.keystone.grant(*who, **scope)}
        )
        listed = client.get("/segments").status
        reported = client.post("/notifications", {"notification": host_stopped()}).status
        return listed == 200, reported != 403

    return ask


@pytest.mark.parametrize("text", UNCHANGED.values(), ids=UNCHANGED)
def test_file_that_leaves_the_guards_alone_lets_readers_and_services_in(may, text):
    answers = {kind: may(text, kind) for kind in ("admin", "reader", "sys-reader", "service")}

    assert answers == {
        "admin": (True, True),
        "reader": (True, False),
        "sys-reader": (True, False),
        "service": (True, True),
    }


@pytest.mark.parametrize("text", DECIDED.values(), ids=DECIDED)
def test_file_that_overrides_a_guard_decides_on_everything(may, text):
    assert {may(text, kind) for kind in ("reader", "sys-reader", "service")} == {(False, False)}


@pytest.mark.parametrize(
    ("text", "admins"),
    [
        (DECIDED["narrower"], ["ops"]),
        (DECIDED["wider"], ["admin", "ops"]),
        (DECIDED["nobody"], []),
        (DECIDED["other administrators"], ["ops"]),
        (DECIDED["more administrators"], ["admin", "ops"]),
    ],
)
def test_guard_has_the_effect_that_it_had(may, text, admins):
    for kind in ("admin", "ops"):
        assert may(text, kind) == ((kind in admins,) * 2)


def test_file_that_overrides_a_guard_lets_in_whom_it_names(may):
    text = '"admin_api": "role:ops"\n"reader_api": "role:reader and system_scope:all"'

    assert may(text, "sys-reader") == (True, False)
    assert may(text, "reader") == (False, False)
    assert may(text, "service") == (False, False)


def test_guard_that_is_no_longer_overridden_lets_readers_in_again(may):
    assert may(DECIDED["narrower"], "reader") == (False, False)
    assert may("{}", "reader") == (True, False)


@pytest.mark.parametrize(
    "rule",
    [
        "project_name:service",
        "project_id:%(project_id)s and project_domain_id:default",
        "role:reader",
    ],
)
def test_services_project_is_a_rule(may, rule):
    assert may(f'"service_project": "{rule}"', "reader") == (True, False)
    assert may('"service_project": "project_name:other"', "reader") == (False, False)


def test_file_that_decides_on_everything_is_told_of_at_start(policy_from, tmp_path, caplog):
    caplog.set_level("INFO")
    path = tmp_path / "own.yaml"
    path.write_text(DECIDED["narrower"])

    policy_from("[oslo_policy]\npolicy_file = own.yaml\n")

    (said,) = [r.getMessage() for r in caplog.records if "own.yaml" in r.getMessage()]
    assert "reader_api, service_api" in said
