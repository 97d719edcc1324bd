import dataclasses

import pytest

from masakari.db.models import Host, Notification, Segment
from masakari.engine import gates
from masakari.engine.gates import Facts
from masakari.engine.observers import TooFew
from masakari.states import NotificationStatus, ProcessAction, Reason


def record(kind, **fields):
    return kind(**{**dict.fromkeys(kind.__slots__), **fields})


SEGMENT = record(Segment, name="rack1", enabled=True, recovery_method="auto")
HOST = record(Host, name="compute1", deleted=0, on_maintenance=False, failover_segment=SEGMENT)
N = record(Notification, notification_uuid="n1", status="running")

HOST_DOWN = {"event": "STOPPED", "host_status": "NORMAL", "cluster_status": "OFFLINE"}
HOST_UP = {**HOST_DOWN, "event": "STARTED"}
PROCESS_DOWN = {"event": "STOPPED", "process_name": "nova-compute"}
PROCESS_UP = {**PROCESS_DOWN, "event": "STARTED"}
VM_DOWN = {"event": "LIFECYCLE", "vir_domain_event": "STOPPED_FAILED", "instance_uuid": "vm1"}


def of_host(payload=None, **changes):
    return dataclasses.replace(N, type="COMPUTE_HOST", payload=payload or HOST_DOWN, **changes)


def of_process(payload=None, **changes):
    return dataclasses.replace(N, type="PROCESS", payload=payload or PROCESS_DOWN, **changes)


def of_vm(payload=None, **changes):
    return dataclasses.replace(N, type="VM", payload=payload or VM_DOWN, **changes)


def facts(host=HOST, **known):
    return Facts(host=host, **known)


def disabled():
    return dataclasses.replace(HOST, failover_segment=dataclasses.replace(SEGMENT, enabled=False))


def maintained(by=None):
    return dataclasses.replace(HOST, on_maintenance=True, maintenance_by=by)


TOO_FEW = TooFew(["mon1"], 2, None)
BY_HOST = of_host(notification_uuid="n0")
BY_SETTLED_HOST = dataclasses.replace(BY_HOST, status="finished")
BY_PROCESS = of_process(notification_uuid="n0", status="finished")

SHUT = {
    "host never known": (of_host(), facts(None), Reason.SEGMENT_GONE),
    "host deleted": (
        of_host(),
        facts(dataclasses.replace(HOST, deleted=3)),
        Reason.SEGMENT_GONE,
    ),
    "segment disabled": (of_host(), facts(disabled()), Reason.SEGMENT_DISABLED),
    "segment disabled, a VM": (
        of_vm(),
        facts(disabled(), answer="restart"),
        Reason.SEGMENT_DISABLED,
    ),
    "host excluded": (of_host(), facts(excluded="hosts: gpu-*"), Reason.EXCLUDED),
    "host excluded, a VM": (
        of_vm(),
        facts(excluded="hosts: gpu-*", answer="restart"),
        Reason.EXCLUDED,
    ),
    "monitor unsure": (
        of_host({**HOST_DOWN, "host_status": "UNKNOWN"}),
        facts(),
        Reason.HOST_STATUS_UNKNOWN,
    ),
    "monitor says nothing of the host": (
        of_host({"event": "STOPPED"}),
        facts(),
        Reason.HOST_STATUS_UNKNOWN,
    ),
    "start, monitor says nothing of the host": (
        of_host({"event": "STARTED"}),
        facts(),
        Reason.HOST_STATUS_UNKNOWN,
    ),
    "unknown event of a host": (
        of_host({**HOST_DOWN, "event": "x"}),
        facts(),
        Reason.UNKNOWN_EVENT,
    ),
    "no event of a process": (
        of_process({"process_name": "sshd"}),
        facts(),
        Reason.UNKNOWN_EVENT,
    ),
    "event of a VM that asks for nothing": (
        of_vm(),
        facts(answer="ignore"),
        Reason.UNKNOWN_EVENT,
    ),
    "process to be ignored": (
        of_process(),
        facts(answer=ProcessAction.IGNORE),
        Reason.PROCESS_RECORDED,
    ),
    "start of a process to be ignored": (
        of_process(PROCESS_UP),
        facts(answer=ProcessAction.IGNORE),
        Reason.PROCESS_RECORDED,
    ),
    "host started again": (of_host(), facts(started_again=True), Reason.CANCELLED),
    "process started again": (
        of_process(),
        facts(started_again=True, answer=ProcessAction.DISABLE),
        Reason.CANCELLED,
    ),
    "operator's maintenance": (of_host(), facts(maintained()), Reason.MAINTENANCE),
    "operator's maintenance, a VM": (
        of_vm(),
        facts(maintained(), answer="restart"),
        Reason.MAINTENANCE,
    ),
    "maintenance of a notification that is gone": (
        of_host(),
        facts(maintained("n0")),
        Reason.MAINTENANCE,
    ),
    "another recovery's maintenance": (
        of_host(),
        facts(maintained("n0"), maintained_by=BY_HOST),
        Reason.MAINTENANCE,
    ),
    "process on a host that is recovered": (
        of_process(),
        facts(maintained("n0"), maintained_by=BY_HOST, answer=ProcessAction.DISABLE),
        Reason.MAINTENANCE,
    ),
}


@pytest.mark.parametrize(("n", "known", "reason"), SHUT.values(), ids=SHUT)
def test_judge_shut_gate_ends_it(n, known, reason):
    verdict = gates.judge(n, known)

    assert (verdict.status, verdict.reason) == (NotificationStatus.IGNORED, reason)


def test_judge_host_that_too_few_have_seen_dead_is_left_to_an_operator():
    verdict = gates.judge(of_host(), facts(too_few=TOO_FEW))

    assert (verdict.status, verdict.reason) == (NotificationStatus.FAILED, Reason.FEW_WITNESSES)
    assert verdict.text.startswith("Seen by 1 of 2 monitors (mon1).")


OPEN = {
    "dead host": (of_host(), facts()),
    "dead host, already ours": (of_host(), facts(maintained("n1"))),
    "dead host, marked by its nova-compute": (
        of_host(),
        facts(maintained("n0"), maintained_by=BY_PROCESS),
    ),
    "VMs on their way, segment disabled since": (of_host(), facts(disabled(), is_under_way=True)),
    "VMs on their way, host excluded since": (
        of_host(),
        facts(excluded="hosts: gpu-*", is_under_way=True),
    ),
    "host started": (of_host(HOST_UP), facts()),
    "host started, on an operator's maintenance": (of_host(HOST_UP), facts(maintained())),
    "host started, on another recovery's maintenance": (
        of_host(HOST_UP),
        facts(maintained("n0"), maintained_by=BY_HOST),
    ),
    "VM": (of_vm(), facts(answer="restart")),
    "VM on a host that is being recovered": (
        of_vm(),
        facts(maintained("n0"), maintained_by=BY_HOST, answer="restart"),
    ),
    "VM on a host that was recovered": (
        of_vm(),
        facts(maintained("n0"), maintained_by=BY_SETTLED_HOST, answer="restart"),
    ),
    "VM on a host without nova-compute": (
        of_vm(),
        facts(maintained("n0"), maintained_by=BY_PROCESS, answer="restart"),
    ),
    "process": (of_process(), facts(answer=ProcessAction.DISABLE)),
    "process that is only recorded": (of_process(), facts(answer=ProcessAction.NOTIFY)),
    "another process on a host without nova-compute": (
        of_process(),
        facts(maintained("n0"), maintained_by=BY_PROCESS, answer=ProcessAction.DISABLE),
    ),
    "process started, host on maintenance": (
        of_process(PROCESS_UP),
        facts(maintained("n0"), maintained_by=BY_HOST, answer=ProcessAction.DISABLE),
    ),
}


@pytest.mark.parametrize(("n", "known"), OPEN.values(), ids=OPEN)
def test_judge_open_gates_let_it_act(n, known):
    assert gates.judge(n, known) is None


IN_ORDER = [
    Reason.SEGMENT_DISABLED,
    Reason.EXCLUDED,
    Reason.HOST_STATUS_UNKNOWN,
    Reason.UNKNOWN_EVENT,
    Reason.CANCELLED,
    Reason.MAINTENANCE,
    Reason.FEW_WITNESSES,
]


@pytest.mark.parametrize("first", range(len(IN_ORDER)), ids=IN_ORDER)
def test_judge_several_shut_gates_the_first_is_named(first):
    """Everything is wrong; what comes before *first* is put right."""
    wrong = {
        Reason.SEGMENT_DISABLED: {"failover_segment": disabled().failover_segment},
        Reason.EXCLUDED: {"excluded": "hosts: *"},
        Reason.HOST_STATUS_UNKNOWN: {"host_status": "UNKNOWN"},
        Reason.UNKNOWN_EVENT: {"event": "x"},
        Reason.CANCELLED: {"started_again": True},
        Reason.MAINTENANCE: {"host": maintained()},
        Reason.FEW_WITNESSES: {"too_few": TOO_FEW},
    }
    given = {k: v for reason in IN_ORDER[first:] for k, v in wrong[reason].items()}
    host = dataclasses.replace(
        given.pop("host", HOST), failover_segment=given.pop("failover_segment", SEGMENT)
    )
    said = {key: given.pop(key) for key in ("host_status", "event") if key in given}

    verdict = gates.judge(of_host({**HOST_DOWN, **said}), facts(host, **given))

    assert verdict.reason == IN_ORDER[first]
