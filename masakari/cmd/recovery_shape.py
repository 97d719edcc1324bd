"""A recovery as JSON documents and as lines; the documented keys never change."""

import datetime
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from masakari.db.models import VMove, VmRecovery, Witness
from masakari.db.recoveries import Recovery
from masakari.states import OPEN_STATUSES, Reason, VMoveStatus

Json = dict[str, Any]  # documents for json
Read = Callable[[], Json]

KINDS = {
    "done": (VMoveStatus.SUCCEEDED,),
    "failed": (VMoveStatus.FAILED,),
    "left": (VMoveStatus.PENDING, VMoveStatus.ONGOING),
    "ignored": (VMoveStatus.IGNORED,),
}
"""{key of `vms`: the statuses that it counts}"""


def dump(document: Json) -> str:
    """As it is printed."""
    return json.dumps(document, indent=2)


def summary(recovery: Recovery, now: datetime.datetime) -> Json:
    """A recovery as in lists."""
    n = recovery.notification
    is_open = n.status in OPEN_STATUSES
    reported = n.created_at or n.generated_time
    ended = None if is_open else (n.updated_at or reported)
    return {
        "uuid": n.notification_uuid,
        "type": n.type,
        "host": recovery.host,
        "segment": recovery.segment,
        "status": n.status,
        "reason": reason(n.message),
        "message": n.message,
        "reported_at": time(reported),
        "ended_at": time(ended),
        "age_s": _seconds(reported, now),
        "elapsed_s": _seconds(reported, ended or now),
        "attempt": n.attempt,
        "engine": n.owner,
        "vms": {
            key: sum(recovery.vms.get(str(s), 0) for s in statuses)
            for key, statuses in KINDS.items()
        },
    }


def whole(recovery: Recovery, chapters: Sequence[Json], now: datetime.datetime) -> Json:
    """All that is known of a recovery; *chapters* are those of db.steps."""
    n = recovery.notification
    return {
        **summary(recovery, now),
        "payload": n.payload,
        "witnesses": [_witness(witness) for witness in recovery.witnesses],
        "generated_at": time(n.generated_time),
        "updated_at": time(n.updated_at),
        "lease_until": time(n.lease_until),
        "not_before": time(n.not_before),
        "failures": n.failures,
        "request_id": n.request_id,
        "proof": n.proof,
        "chapters": [_chapter(chapter) for chapter in chapters],
        "moves": [_move(move) for move in recovery.moves],
        "actions": [_action(deed) for deed in recovery.deeds],
    }


def reason(message: str | None) -> str | None:
    """The word that a message of ours begins with."""
    found = (message or "").partition(":")[0]
    return found if found in list(Reason) else None


def _witness(witness: Witness) -> Json:
    return {
        "reported_by": witness.reported_by,
        "generated_at": time(witness.generated_time),
        "reported_at": time(witness.created_at),
        "payload": witness.payload,
    }


def _chapter(chapter: Json) -> Json:
    return {
        "attempt": chapter["attempt"],
        "chapter": chapter["chapter"],
        "name": chapter["name"],
        "steps": [
            {
                "name": step["name"],
                "state": step["state"],
                "progress": step["progress"],
                "said": [
                    {"at": _iso(said["timestamp"]), "message": said["message"]}
                    for said in step["progress_details"]
                ],
            }
            for step in chapter["steps"]
        ],
    }


def _move(move: VMove) -> Json:
    return {
        "uuid": move.uuid,
        "server": move.instance_uuid,
        "server_name": move.instance_name,
        "type": move.type,
        "status": move.status,
        "message": move.message,
        "source": move.source_host,
        "destination": move.dest_host,
        "attempt": move.attempt,
        "chapter": move.chapter,
        "started_at": time(move.start_time),
        "ended_at": time(move.end_time),
        "elapsed_s": _seconds(move.start_time, move.end_time),
    }


def _action(deed: VmRecovery) -> Json:
    return {
        "server": deed.instance_uuid,
        "action": deed.action,
        "host": deed.host,
        "attempt": deed.attempt,
        "started_at": time(deed.started_at),
        "power_on_at": time(deed.power_on_at),
        "ended_at": time(deed.ended_at),
        "outcome": deed.outcome,
    }


def time(moment: datetime.datetime | None) -> str | None:
    """ISO 8601, UTC, ending in Z."""
    return None if moment is None else f"{moment.isoformat()}Z"


def _iso(text: str) -> str:
    """A step's time, as the engine has stored it."""
    return f"{text.replace(' ', 'T')}Z" if text else text


def _seconds(begin: datetime.datetime | None, end: datetime.datetime | None) -> float | None:
    if begin is None or end is None:
        return None
    return max(0.0, round((end - begin).total_seconds(), 1))


def words(seconds: float | None) -> str:
    """A duration for people: 4s, 3m12s, 5h07m, 2d04h."""
    if seconds is None:
        return "-"
    whole_s = int(seconds)
    for unit, size, below, part in (
        ("d", 86400, "h", 3600),
        ("h", 3600, "m", 60),
        ("m", 60, "s", 1),
    ):
        if whole_s >= size:
            return f"{whole_s // size}{unit}{whole_s % size // part:02}{below}"
    return f"{whole_s}s"


def counted(vms: Mapping[str, int]) -> str:
    """VMs done/failed/left, or - where there are none."""
    return f"{vms['done']}/{vms['failed']}/{vms['left']}" if any(vms.values()) else "-"


# ---- following without a terminal


class Screen(Protocol):
    """Where a recovery is followed."""

    def show(self, document: Json) -> None:
        """It is like this now."""

    def trouble(self, text: str) -> None:
        """It cannot be told how it is."""


class Lines:
    """A line for each change."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def show(self, document: Json) -> None:
        """Print what was not printed yet."""
        for line in lines(document):
            if line not in self._told:
                self._told.add(line)
                print(line, flush=True)

    def trouble(self, text: str) -> None:
        """Print it, once in a row."""
        if text not in self._told:
            self._told.add(text)
            print(text, flush=True)


class JsonLines:
    """A document on one line for each change."""

    def __init__(self) -> None:
        self._last: Json = {}

    def show(self, document: Json) -> None:
        """Print it if more than the time has passed."""
        said = {k: v for k, v in document.items() if k not in ("age_s", "elapsed_s", "lease_until")}
        if said != self._last:
            self._last = said
            print(json.dumps({"recovery": document}), flush=True)

    def trouble(self, text: str) -> None:
        """Nothing: what is printed are documents."""


def lines(document: Json) -> Iterator[str]:
    """All that has happened, a line each; later documents of one recovery have more of them."""
    for chapter in document["chapters"]:
        for step in chapter["steps"]:
            for said in step["said"]:
                yield f"{said['at']} {step['name']}: {said['message']}"
    for move in document["moves"]:
        to = f" on {move['destination']}" if move["destination"] else ""
        why = f": {move['message']}" if move["message"] else ""
        at = move["ended_at"] or move["started_at"]
        yield f"{at or document['reported_at']} VM {move['server_name']}: {move['status']}{to}{why}"
    for action in document["actions"]:
        at = action["ended_at"] or action["started_at"]
        yield f"{at} {action['action']} of VM {action['server']}: {action['outcome'] or 'begun'}"
    why = f": {document['message']}" if document["message"] else ""
    at = document["updated_at"] or document["reported_at"]
    yield f"{at} {document['uuid']} is {document['status']}, attempt {document['attempt']}{why}"
