"""What the compiled validator says is what jsonschema says: of bodies that are nearly right."""

import copy

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from masakari import errors
from masakari.api import fields, hosts, notifications, segments

UUID = "5fd9d925-0379-40db-a7f8-786a0b655b2a"
SEGMENT = {"name": "rack1", "recovery_method": "auto", "service_type": "COMPUTE"}
HOST = {"name": "compute1", "type": "COMPUTE", "control_attributes": "SSH", "reserved": "yes"}
REPORT = {"hostname": "compute1", "generated_time": "2026-01-01T00:00:00"}
PAYLOADS = {
    "COMPUTE_HOST": {"event": "STOPPED", "host_status": "NORMAL"},
    "PROCESS": {"event": "STARTED", "process_name": "nova-compute"},
    "VM": {"instance_uuid": UUID, "event": "LIFECYCLE", "vir_domain_event": "x"},
}
BODIES = [
    *((shape, {"segment": SEGMENT}) for shape in segments.CREATE.values()),
    *((shape, {"host": HOST}) for shape in hosts.CREATE.values()),
    *(
        (shape, {"notification": REPORT | {"type": kind, "payload": payload}})
        for shape in notifications.CREATE.values()
        for kind, payload in PAYLOADS.items()
    ),
    (fields.choice("cancel", "retry"), {"cancel": None}),
]

TEXTS = st.one_of(
    st.text(max_size=5),
    st.sampled_from(
        ["", " ", "x" * 255, "x" * 256, "\x00", "\ud800", "ü", "a b", UUID, "VM", "on"]
    ),
)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


def places(value, path=()):
    """Where something can be changed."""
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))


def changed(body, path, deed, value):
    """*body* with a value replaced, taken away, or added at *path*."""
    if not path:
        return value if deed == "replace" else {**body, "more": value}
    body = copy.deepcopy(body)
    inside = body
    for key in path[:-1]:
        inside = inside[key]
    if deed == "replace":
        inside[path[-1]] = value
    elif deed == "remove":
        del inside[path[-1]]
    else:
        inside[value if isinstance(value, str) else "more"] = value
    return body


@pytest.mark.parametrize(("shape", "body"), BODIES)
def test_compiled_validator_agrees_with_jsonschema(shape, body):
    slow = jsonschema.Draft202012Validator(shape.schema, format_checker=fields._FORMATS)
    outcomes = set()

    @settings(
        max_examples=150,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(
        st.sampled_from(list(places(body))),
        st.sampled_from(["replace", "remove", "add"]),
        VALUES,
    )
    def agree(path, deed, value):
        tried = changed(body, path, deed, value)
        is_right = slow.is_valid(tried)
        outcomes.add(is_right)
        assert shape.conforms(tried) == is_right
        if not is_right:
            with pytest.raises(errors.Invalid, match="Invalid input for field "):
                shape.check(tried)

    shape.check(body)
    agree()
    assert False in outcomes
