"""Which of Nova's notifications have the host monitor look, and what is said of them.

The file was written by the classes of Nova 34 that build what it sends.
"""

import json
import pathlib
import re

import pytest

import masakari.tests
from masakari import errors
from masakari.clock import SystemClock
from masakari.monitors import hostmonitor
from masakari.monitors.hosts import nova_notifications
from masakari.monitors.hosts.nova_notifications import OF_CONCERN, NovaNotificationDriver, reason
from masakari.tests.unit.monitors.drivers import configured

MESSAGES = json.loads(
    (pathlib.Path(masakari.tests.__file__).parent / "nova_notifications.json").read_text()
)
VM = "VM 178b0921-8f85-4257-88b6-2e743b5a975c on compute1"
EXPECTED = [
    "nova-compute on compute1 is forced down",
    "nova-compute on compute1 is enabled, and not forced down",
    "nova-compute on compute1 is disabled",
    f"{VM} is in error",
    None,  # it was in error before
    None,  # it was built
    None,  # its owner has stopped it
    f"{VM} was found dead",
    None,  # its owner has deleted it
    f"reboot of {VM} has failed",
    "compute1 has lost its hypervisor",
]


def said(message):
    if not re.match(OF_CONCERN, message["event_type"]):
        return None
    return reason(message["event_type"], message["publisher_id"], message["payload"])


def test_what_nova_says():
    assert [said(message) for message in MESSAGES] == EXPECTED


def test_other_services_are_of_no_concern():
    (message, *_) = MESSAGES
    data = message["payload"]["nova_object.data"] | {"binary": "nova-conductor"}

    assert reason("service.update", "nova-api:c", {"nova_object.data": data}) is None


@pytest.mark.parametrize("payload", [None, [], "text", {}, {"nova_object.data": 5}])
@pytest.mark.parametrize("event_type", ["service.update", "instance.update", "instance.stop.error"])
def test_what_is_not_novas_is_passed_over(event_type, payload):
    told = []
    endpoint = nova_notifications._Endpoint(lambda *said: told.append(said))

    endpoint.error({}, "someone", event_type, payload, {})

    assert told == []


def test_without_a_bus_the_option_is_named():
    conf = configured("host", push=["nova_notifications"])

    with pytest.raises(errors.ConfigInvalid, match=r"\[nova_notifications\] transport_url: it is"):
        hostmonitor.push_sources(conf, SystemClock(), lambda *_: None)


def test_bus_that_cannot_be_is_refused_without_its_password():
    conf = configured("nova_notifications", transport_url="rabbit://masakari:hunter2@there:port/")

    with pytest.raises(errors.ConfigInvalid, match=r"\[nova_notifications\] transport_url") as e:
        NovaNotificationDriver.from_conf(conf, SystemClock(), lambda *_: None)
    assert "hunter2" not in str(e.value)


def test_source_that_is_not_there_is_refused_with_those_that_are():
    conf = configured("host", push=["smoke_signals"])

    with pytest.raises(errors.ConfigInvalid) as e:
        hostmonitor.push_sources(conf, SystemClock(), lambda *_: None)
    assert str(e.value) == (
        "[host] push: there is no 'smoke_signals'; there is: consul, kubernetes, "
        "nova_notifications, pacemaker_alerts"
    )
