"""What events say; the samples in the documentation are what is really sent."""

import datetime
import difflib
import json
import threading

import pytest
from oslo_context import context

from masakari import events
from masakari.context import RequestContext
from masakari.errors import SegmentExists
from masakari.tests import event_samples
from masakari.tests.unit.db import rows

AGAIN = "python -m masakari.tests.event_samples writes them anew"


@pytest.fixture(scope="module")
def played():
    return event_samples.play()


@pytest.fixture(scope="module")
def stored():
    return {path.stem: path.read_text() for path in event_samples.DIRECTORY.glob("*.json")}


def test_each_type_has_a_sample(played, stored):
    assert sorted(stored) == sorted(played), AGAIN


def test_samples_are_what_is_sent(played, stored):
    different = [
        line
        for type_, text in sorted(played.items())
        for line in difflib.unified_diff(stored.get(type_, "").splitlines(), text.splitlines())
    ]

    assert different == [], AGAIN


FIELDS = {
    "SegmentApiPayload": (
        "1.1",
        "id uuid name service_type description recovery_method enabled fault",
    ),
    "HostApiPayload": (
        "1.0",
        "id uuid name failover_segment type reserved control_attributes on_maintenance fault",
    ),
    "NotificationApiPayload": (
        "1.0",
        "id notification_uuid generated_time source_host_uuid type payload status fault",
    ),
    "RecoveryTaskPayload": (
        "1.0",
        "notification_uuid type attempt failover_segment_uuid failover_segment_name "
        "source_host_uuid source_host_name reserved_host_name instance_uuid task progress "
        "message request_id fault",
    ),
    "FailoverSegment": (
        "1.1",
        "id uuid name service_type description recovery_method enabled created_at updated_at "
        "deleted_at deleted",
    ),
    "ExceptionPayload": (
        "1.0",
        "module_name function_name exception exception_message traceback",
    ),
    "AlarmPayload": (
        "1.0",
        "code name severity summary subject message raised_at fault",
    ),
}
"""{name: (version, fields)}"""
IDENTIFIERS = {"id", "uuid", "notification_uuid"}


def objects(value):
    """The versioned objects in a payload, outermost first."""
    if isinstance(value, dict) and "masakari_object.data" in value:
        yield value
        for inner in value["masakari_object.data"].values():
            yield from objects(inner)


def test_payloads_have_the_names_versions_and_fields_that_consumers_know(stored):
    for type_, text in stored.items():
        outermost, *others = objects(json.loads(text)["payload"])
        is_new = ".create." in type_ and not type_.endswith(".end")
        for found in (outermost, *others):
            version, fields = FIELDS[found["masakari_object.name"]]
            unset = IDENTIFIERS if is_new and found is outermost else set()
            assert found["masakari_object.version"] == version, type_
            assert found["masakari_object.namespace"] == "masakari"
            assert set(found["masakari_object.data"]) == set(fields.split()) - unset, type_


def test_errors_have_a_fault_a_priority_and_a_publisher(stored):
    for type_, text in stored.items():
        message = json.loads(text)
        is_error = type_.endswith(".error")
        is_engine = type_.startswith(("notification.process", "recovery", "alarm"))
        is_loud = is_error or type_ == "alarm.raise"
        fault = message["payload"]["masakari_object.data"]["fault"]
        assert message["priority"] == ("ERROR" if is_loud else "INFO")
        assert (fault is not None) == is_error, type_
        assert message["publisher_id"] == (
            "masakari-engine:controller" if is_engine else "masakari-api:controller"
        )


def test_end_of_a_recovery_has_the_final_status(stored):
    end = json.loads(stored["notification.process.end"])

    assert end["payload"]["masakari_object.data"]["status"] == "finished"


# ---- faults


def fault(error):
    """The data of the fault in a payload."""
    payload = events.SEGMENT.payload({"name": "rack1"}, error)
    return payload["masakari_object.data"]["fault"]["masakari_object.data"]


def raised(error):
    try:
        raise error
    except type(error) as e:
        return e


def test_fault_names_the_class_and_the_place():
    told = fault(raised(SegmentExists(name="rack1")))

    assert told["exception"] == "SegmentExists"
    assert told["exception_message"] == "A failover segment with name rack1 already exists."
    assert told["function_name"] == "raised"
    assert told["module_name"] == __name__
    assert "raise error" in told["traceback"]


def test_fault_of_others_does_not_tell_their_words():
    try:
        try:
            raise OSError("mysql://masakari:hunter2@db/ refused")
        except OSError as e:
            raise ValueError("password hunter2") from e
    except ValueError as e:
        told = fault(e)

    assert told["exception"] == "ValueError"
    assert "hunter2@" not in str(told)
    assert "log" in told["exception_message"]
    assert "refused" not in told["exception_message"]


def test_fault_that_was_never_raised_has_no_place():
    told = fault(SegmentExists(name="rack1"))

    assert (told["module_name"], told["traceback"]) == ("unknown", "")


def test_fault_of_a_deep_call_is_short():
    def deep(n):
        if n == 0:
            raise SegmentExists(name="x" * 5000)
        deep(n - 1)

    with pytest.raises(SegmentExists) as error:
        deep(100)

    told = fault(error.value)
    assert len(told["traceback"]) < 5000
    assert len(told["exception_message"]) == events.MESSAGE_LENGTH


# ---- values


def test_times_are_written_as_versioned_objects_do(database):
    host = rows.host(database)
    told = events.HOST.payload(events.values_of(host))["masakari_object.data"]

    created = told["failover_segment"]["masakari_object.data"]["created_at"]
    assert datetime.datetime.strptime(created, "%Y-%m-%dT%H:%M:%SZ")


def test_context_has_who_asked_and_no_token():
    ctx = RequestContext(
        auth_token="gAAAA", user_id="u1", project_id="p1", request_id="req-1", overwrite=False
    )

    told = events.context_of(ctx)

    assert "gAAAA" not in str(told)
    assert (told["user"], told["project_id"], told["request_id"]) == ("u1", "p1", "req-1")


def test_context_of_our_own_does_not_stay_with_the_thread():
    told = []

    def work():
        told.append(events.by("req-1")["request_id"])
        told.append(context.get_current())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert told == ["req-1", None]
