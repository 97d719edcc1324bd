"""The declarations of the operations are in order."""

import jsonschema
import pytest

from masakari.api import operation, policy

SHAPES = [shape for op in operation.in_order() for shape in op.body.values()]

READ = "(rule:admin_api or rule:reader_api or rule:service_api)"
REPORT = "(rule:admin_api or rule:service_api)"
ADMIN = "rule:admin_api"
PUBLISHED_RULES = {
    "context_is_admin": "role:admin",
    "admin_or_owner": "(is_admin:True or project_id:%(project_id)s)",
    "admin_api": "is_admin:True",
    "service_project": "is_service_project:True",
    "reader_api": "(role:reader and (system_scope:all or rule:service_project))",
    "service_api": "role:service",
    "os_masakari_api:versions:index": "@",
    "os_masakari_api:versions:discoverable": "@",
    **{
        f"os_masakari_api:{resource}:{action}": READ
        for resource in ("segments", "os-hosts", "notifications", "vmoves", "extensions")
        for action in ("index", "detail", "discoverable")
    },
    **{
        f"os_masakari_api:{resource}:{action}": ADMIN
        for resource in ("segments", "os-hosts")
        for action in ("create", "update", "delete")
    },
    "os_masakari_api:notifications:create": REPORT,
    "os_masakari_api:notifications:cancel": ADMIN,
    "os_masakari_api:notifications:retry": ADMIN,
}


@pytest.mark.parametrize("shape", SHAPES, ids=range(len(SHAPES)))
def test_schemas_are_json_schemas(shape):
    jsonschema.Draft202012Validator.check_schema(shape.schema)


def test_no_two_operations_claim_the_same():
    claims = [(op.method, path) for op in operation.in_order() for path in op.paths]

    assert len(set(claims)) == len(claims)


@pytest.mark.parametrize("op", operation.in_order(), ids=lambda op: f"{op.method} {op.paths[0]}")
def test_operations_are_described(op):
    assert op.description.endswith(".")
    assert "\n" not in op.description


def test_rules_and_defaults_are_those_that_policy_files_override():
    assert {rule.name: str(rule.check) for rule in policy.list_rules()} == PUBLISHED_RULES


def test_rules_of_operations_say_where_they_apply():
    (rule,) = (r for r in policy.list_rules() if r.name == "os_masakari_api:os-hosts:update")

    assert rule.operations == [{"method": "PUT", "path": "/segments/{segment_id}/hosts/{host_id}"}]
    assert rule.description == "Change a host."


def test_tools_get_an_enforcer_that_knows_the_rules():
    assert set(PUBLISHED_RULES) <= {rule.name for rule in policy.list_rules()}


def test_each_action_has_a_rule_of_its_own():
    rules = {r.name: r for r in policy.list_rules()}
    cancel, retry = (rules[f"os_masakari_api:notifications:{a}"] for a in ("cancel", "retry"))

    where = [{"method": "POST", "path": "/notifications/{notification_id}/action"}]
    assert cancel.operations == retry.operations == where
    assert cancel.description != retry.description
