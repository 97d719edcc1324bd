"""One event of each type, as a consumer gets it; doc/notification_samples has them.

    python -m masakari.tests.event_samples

writes them anew.
"""

import json
import pathlib
import re
import uuid

from masakari import notifier
from masakari.events import Event, Json
from masakari.sim import mishaps, stage, words
from masakari.sim.clock import SimClock
from masakari.sim.system import System

DIRECTORY = pathlib.Path(__file__).parents[2] / "doc" / "notification_samples"
SEGMENTS = "/v1/segments"
UUID = re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b")
LAST_FRAME = re.compile(r'  File "\S*?(?P<file>masakari/\S+)", line \d+,(?P<rest>[^\n]*\n[^\n]*\n)')


class _Driver:
    """Keeps what it is to send."""

    def __init__(self) -> None:
        self.messages: list[Json] = []

    def notify(self, _ctxt: object, msg: Json, _priority: str, _retry: int) -> None:
        """As oslo.messaging's drivers."""
        self.messages.append(msg)


def play() -> dict[str, str]:
    """{type: message} of the first event of each type; the same in each run."""
    with SimClock() as clock, System(clock) as system:
        _happen(system)
        heard = [h.event for h in system.hearing.heard]
    firsts: dict[str, Event] = {}
    for event in heard:
        firsts.setdefault(event.type, event)
    driver = _Driver()
    sender = notifier.Notifier([driver], host="controller", retry=-1)
    sender.send(*firsts.values())
    sender.close()
    known: dict[str, str] = {}
    return {message["event_type"]: _text(message, known) for message in driver.messages}


def _happen(system: System) -> None:
    """All that there are events about."""
    stage.segment(system, "rack1", "auto")
    stage.host(system, ["compute1", "compute2", "compute3"])
    stage.vm(system, ["web1", "web2"], "compute1")
    rack = f"{SEGMENTS}/{system.segments['rack1']}"
    host = system.registered_hosts["compute3"]
    of_rack = {"segment": {"description": "Left of the door"}}
    of_host = {"host": {"control_attributes": "IPMI"}}
    system.operate("PUT", rack, of_rack)
    system.operate("PUT", host, of_host)
    wanted = {"name": "rack1", "recovery_method": "auto", "service_type": "compute"}
    system.operate("POST", SEGMENTS, {"segment": wanted})
    twice = {"name": "compute2", "type": "COMPUTE", "control_attributes": "SSH"}
    system.operate("POST", f"{rack}/hosts", {"host": twice})

    system.begin()
    mishaps.power(system, ["compute1"], "off")
    mishaps.fails(system, "evacuation", ["web2"])
    system.clock.run_until(lambda: bool(system.open_notifications()), 600, every=1)
    for path, body in ((rack, of_rack), (host, of_host)):
        system.operate("PUT", path, body)
        system.operate("DELETE", path)
    system.outage.begin()
    words.report_process(system, "nova-compute", "compute2", "stopped")
    system.outage.end()
    system.clock.run_until(system.is_idle, 3600, every=5)
    words.kill(system, "engine-a")
    words.report_process(system, "sshd", "compute2", "stopped")
    oldest, *_, newest = system.notifications()
    for n in (newest, oldest):
        path = f"/v1/notifications/{n.notification_uuid}/action"
        system.operate("POST", path, {"cancel": None})
    system.operate("DELETE", host)
    system.operate("DELETE", rack)


def _text(message: Json, known: dict[str, str]) -> str:
    """The message as JSON, with uuids, time and places in the code that stay the same."""
    message["timestamp"] = "2026-01-01 00:00:00.000000"
    fault = message["payload"]["masakari_object.data"]["fault"]
    if fault is not None:
        _shorten(fault["masakari_object.data"])

    def same(found: re.Match[str]) -> str:
        number = str(len(known))
        return known.setdefault(found[0], str(uuid.uuid5(uuid.NAMESPACE_OID, number)))

    return UUID.sub(same, json.dumps(message, indent=4)) + "\n"


def _shorten(fault: Json) -> None:
    """Only the last call is shown, of which only the line number changes with the code."""
    *_, last = LAST_FRAME.finditer(fault["traceback"])
    fault["traceback"] = f'  File "{last["file"]}", line 1,{last["rest"]}'


def main() -> None:
    """Write the files."""
    DIRECTORY.mkdir(exist_ok=True)
    for path in DIRECTORY.glob("*.json"):
        path.unlink()
    for type_, text in play().items():
        (DIRECTORY / f"{type_}.json").write_text(text)


if __name__ == "__main__":
    main()
