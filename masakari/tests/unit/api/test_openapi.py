"""The description of the API: valid, complete, and of the same opinion as the API's own checks."""

import itertools
import unicodedata

import jsonschema_rs
import openapi_spec_validator
import pytest
from oslo_utils import timeutils

from masakari import errors
from masakari.api import documents, fields, openapi_schemas, operation, policy  # noqa: F401
from masakari.api.fields import Shape

DOCUMENT = documents.document()
OPERATIONS = operation.in_order()


def described(op):
    return DOCUMENT["paths"][f"/v1{op.paths[0]}"][op.method.lower()]


def judge(schema):
    """What a validator that knows nothing of us says of values."""
    components = {"components": DOCUMENT["components"]}
    return jsonschema_rs.Draft202012Validator({**openapi_schemas.published(schema), **components})


def test_document_is_valid():
    openapi_spec_validator.validate(DOCUMENT)


def test_every_operation_is_described_once():
    names = [one["operationId"] for path in DOCUMENT["paths"].values() for one in path.values()]

    assert len(names) == len(set(names)) == len(OPERATIONS) + 2  # / and /healthcheck


@pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: f"{op.method} {op.paths[0]}")
def test_operation_tells_its_rule_and_what_can_become_of_it(op):
    said = described(op)

    assert said.get("x-openstack", {}).get("policy", "") == ", ".join(op.rules)
    assert {str(op.status), "400", "401", "406", "503"} <= set(said["responses"])
    assert {str(error.status) for error in op.faults} <= set(said["responses"])
    assert ("404" in said["responses"]) == ("{" in op.paths[0])
    assert ("requestBody" in said) == bool(op.body)


@pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: f"{op.method} {op.paths[0]}")
def test_examples_are_of_the_schemas(op):
    said = described(op)
    answer = said["responses"][str(op.status)].get("content", {}).get("application/json")

    if op.body:
        op.body[max(op.body)].check(said["requestBody"]["content"]["application/json"]["example"])
    if answer:
        assert list(judge(answer["schema"]).iter_errors(answer["example"])) == []


def test_what_came_later_tells_since_when():
    body = described(
        next(op for op in OPERATIONS if (op.method, op.paths[0]) == ("POST", "/segments"))
    )
    segment = body["requestBody"]["content"]["application/json"]["schema"]["properties"]["segment"]
    detailed = DOCUMENT["components"]["schemas"]["NotificationWithProgress"]

    later = {name for name, one in segment["properties"].items() if "x-openstack" in one}
    assert later == {"enabled", "observe_only"}
    assert segment["properties"]["enabled"]["x-openstack"] == {"min-ver": "1.2"}
    assert "recovery_workflow_details" not in detailed["required"]


def test_operation_that_came_later_wants_a_version_that_has_it():
    action = DOCUMENT["paths"]["/v1/notifications/{notification_id}/action"]["post"]
    (version,) = (p for p in action["parameters"] if p.get("in") == "header")

    assert action["x-openstack"]["min-ver"] == "1.4"
    assert version["required"]
    assert version["schema"]["enum"] == ["instance-ha 1.4", "instance-ha latest"]
    assert "405" in action["responses"]


def test_parameter_that_came_later_tells_since_when():
    parameters = DOCUMENT["paths"]["/v1/segments"]["get"]["parameters"]

    later = {p["name"]: p["x-openstack"] for p in parameters if "x-openstack" in p}
    assert later == {"observe_only": {"min-ver": "1.4"}}


def test_what_is_created_links_to_what_can_be_done_with_it():
    links = DOCUMENT["paths"]["/v1/segments/{segment_id}/hosts"]["post"]["responses"]["201"][
        "links"
    ]

    assert links["hosts_delete"]["parameters"] == {
        "segment_id": "$request.path.segment_id",
        "host_id": "$response.body#/host/uuid",
    }


# ---- one opinion


def accepts(schema, value):
    try:
        Shape(schema).check(value)
    except errors.Invalid:
        return False
    return True


@pytest.mark.parametrize(
    ("schema", "around"),
    [
        (fields.NAME, ""),
        (fields.NAME, "x"),
        (fields.TEXT, ""),
        (fields.HOST_TYPE, ""),
        (fields.HOSTNAME, ""),
    ],
    ids=["name", "inner", "text", "alphanumeric", "hostname"],
)
def test_every_character_is_judged_alike(schema, around):
    published, ours = judge(schema), Shape(schema)
    # what later editions of Unicode may have assigned is left out, and halves of pairs are no text
    known = (
        chr(code)
        for code in itertools.chain(range(0x10000), range(0x1F5F0, 0x1F610), [0x10FFFF])
        if unicodedata.category(chr(code)) not in ("Cn", "Cs")
    )

    different = [
        hex(ord(c))
        for c in known
        if published.is_valid(around + c + around) != ours.conforms(around + c + around)
    ]
    assert different == []


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        (fields.NAME, ["a", "a b", "ä" * 255], ["", " a", "a ", "a\n", "a" * 256, 1, None]),
        (fields.DESCRIPTION, ["", "a\nb", None, " "], ["\t", "a\r\nb", 1]),
        (fields.HOST_TYPE, ["", "COMPUTE"], ["COMPUTE_HOST", "a\n", None]),
        (fields.BOOLEAN, [True, False, "on", "No", "1"], [1, 0, "", "t", "true\n", None]),
        (fields.HOSTNAME, ["a.b-c_d"], ["", "a b", "a\n"]),
        (
            fields.UUID,
            [
                "5fd9d925-0379-40db-a7f8-786a0b655b2a",
                "5FD9D925037940DBA7F8786A0B655B2A",
                "{5fd9d925-0379-40db-a7f8-786a0b655b2a}",
                "urn:uuid:5fd9d925-0379-40db-a7f8-786a0b655b2a",
            ],
            ["", "5fd9d925", "5fd9d925-0379-40db-a7f8-786a0b655b2g", "٣" * 32],
        ),
        (
            fields.TIME,
            ["2017-04-21 17:29:55", "20170421T172955Z", "2024-02-29", "2017", "2017-4-2"],
            ["2023-02-29", "0000-01-01", "2017-13-01", "2017-04-31", "17:29", "2017\n", ""],
        ),
        (
            {"type": "object", "propertyNames": {"format": "key"}},
            [{}, {"a-B_9:. ": 1}],
            [{"": 1}, {"ä": 1}, {"a" * 256: 1}],
        ),
    ],
    ids=["name", "text", "alphanumeric", "boolean", "hostname", "uuid", "time", "key"],
)
def test_formats_are_judged_alike(schema, good, bad):
    published = judge(schema)

    assert [v for v in good if not (accepts(schema, v) and published.is_valid(v))] == []
    assert [v for v in bad if accepts(schema, v) or published.is_valid(v)] == []


def test_times_are_those_that_can_be_parsed():
    parts = itertools.product(
        ["0000", "0001", "1900", "2000", "2023", "2024"],
        ["", "-1", "01", "-02", "-2", "-4", "11", "-13", "-00", "13"],
        ["", "-1", "01", "-28", "-29", "-30", "31", "32", "-0", "00"],
        [
            "",
            "T10",
            " 10:05Z",
            "T1005",
            "T10:5",
            "T10:60",
            "T24",
            "T10:05:7,12+01",
            "T100507-0130",
            "T10+01:75",
            "T10-22:99",
            "T10+23:60",
            "Z",
        ],
    )

    shape = Shape(fields.TIME)
    different = [t for t in map("".join, parts) if shape.conforms(t) != is_parsed(t)]
    assert different == []


def is_parsed(text):
    try:
        timeutils.parse_isotime(text)
    except ValueError:
        return False
    return True
