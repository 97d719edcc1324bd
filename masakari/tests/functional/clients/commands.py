"""What is typed after `openstack`, and what is printed: every command with every option."""

import dataclasses
import re
from typing import Any

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")
NUMBER = re.compile(r"\d+")


@dataclasses.dataclass(frozen=True)
class Step:
    """A command; `$name` stands for what an earlier step has kept under that name."""

    line: str
    prints: Any
    """JSON where the command makes any, otherwise the text; patterns stand for what varies."""
    keep: str = ""
    """The (first) printed uuid is $keep from now on, and $keep_id the id to it."""
    refused: bool = False
    """It ends with status 1, and `prints` is a pattern that is found on stderr."""
    until: str = ""
    """The command is repeated until it prints this status."""


def refused(line: str, pattern: str) -> Step:
    """A command that fails."""
    return Step(line, re.compile(pattern), refused=True)


def segment(name, **more):
    """What is shown of a segment."""
    return {
        "created_at": TIME,
        "updated_at": None,
        "uuid": UUID,
        "name": name,
        "description": None,
        "id": NUMBER,
        "service_type": "COMPUTE",
        "recovery_method": "auto",
    } | more


def host(name, **more):
    """What is shown of a host."""
    return {
        "created_at": TIME,
        "updated_at": None,
        "uuid": UUID,
        "name": name,
        "type": "COMPUTE",
        "control_attributes": "ssh",
        "reserved": False,
        "on_maintenance": False,
        "failover_segment_id": "$rack1",
    } | more


def notification(type, host, payload, status=re.compile("new|running|finished"), **more):
    """What is shown of a notification."""
    return {
        "created_at": TIME,
        "updated_at": ...,
        "notification_uuid": UUID,
        "type": type,
        "status": status,
        "source_host_uuid": f"${host}",
        "generated_time": "2026-01-01T01:00:00.000000",
        "payload": payload,
    } | more


def listed(key, *values):
    """The rows of a list by their values of *key*, in order."""
    return [{key: value} for value in values]


RACK1, RACK2, RACK3 = (
    {
        "uuid": "$rack1",
        "name": "rack1",
        "description": None,
        "service_type": "COMPUTE",
        "recovery_method": "auto",
    },
    {
        "uuid": "$rack2",
        "name": "rack2",
        "description": "spare hosts",
        "service_type": "COMPUTE",
        "recovery_method": "reserved_host",
    },
    {
        "uuid": "$rack3",
        "name": "rack3",
        "description": None,
        "service_type": "gpu",
        "recovery_method": "rh_priority",
    },
)
"""As the lists of versions before 1.2 print them."""
ON, OFF = {"is_enabled": True}, {"is_enabled": False}
RACK2_SHOWN = segment("rack2", recovery_method="reserved_host", description="spare hosts", **OFF)
RACK3_CHANGED = segment(
    "rack3",
    recovery_method="auto_priority",
    service_type="cpu",
    description="was rack3",
    updated_at=TIME,
)

SEGMENTS = [
    Step("segment list", []),
    Step("segment create rack1 auto COMPUTE", segment("rack1", **ON), keep="rack1"),
    Step(
        "segment create rack2 reserved_host COMPUTE --description 'spare hosts' --is_enabled no",
        RACK2_SHOWN,
        keep="rack2",
    ),
    Step(
        "--os-ha-api-version 1.1 segment create rack3 rh_priority gpu",
        segment("rack3", recovery_method="rh_priority", service_type="gpu"),
        keep="rack3",
    ),
    refused("segment create rack1 auto COMPUTE", "409: .*rack1"),
    refused("segment create ' x' auto COMPUTE", "400: .*segment.name"),
    refused("segment create x manual COMPUTE", "invalid choice: 'manual'"),
    # lists
    Step("segment list", [RACK3 | ON, RACK2 | OFF, RACK1 | ON]),
    Step("--os-ha-api-version 1.3 segment list", [RACK3 | ON, RACK2 | OFF, RACK1 | ON]),
    Step("--os-ha-api-version 1.2 segment list", [RACK3 | ON, RACK2 | OFF, RACK1 | ON]),
    Step("--os-ha-api-version 1.1 segment list", [RACK3, RACK2, RACK1]),
    Step("--os-ha-api-version 1.0 segment list", [RACK3, RACK2, RACK1]),
    Step("--os-ha-api-version 1 segment list", [RACK3, RACK2, RACK1]),
    refused("--os-ha-api-version 1.9 segment list", "1.9"),
    Step("segment list --sort name:asc -c name", listed("name", "rack1", "rack2", "rack3")),
    Step("segment list --sort name -c name", listed("name", "rack3", "rack2", "rack1")),
    Step(
        "segment list --sort service_type:asc,name:desc -c name",
        listed("name", "rack2", "rack1", "rack3"),
    ),
    refused("segment list --sort colour", "400: .*sort_key.*colour"),
    Step("segment list --filters recovery_method=auto -c name", listed("name", "rack1")),
    Step(
        "segment list --filters 'service_type=COMPUTE;is_enabled=False' -c name",
        listed("name", "rack2"),
    ),
    Step(
        "segment list --filters service_type=COMPUTE --filters is_enabled=true -c name",
        listed("name", "rack1"),
    ),
    refused("segment list --filters is_enabled=maybe", "400: .*enabled.*maybe"),
    Step(
        "segment list --marker $rack1 --sort name:asc -c name",
        listed("name", "rack2", "rack3"),
    ),
    Step(
        "segment list --marker $rack2_id --sort name:asc -c name",
        listed("name", "rack3"),
    ),
    refused("segment list --marker 4711", "400: .*4711"),
    # the client takes the limit for the size of a page, and prints all pages
    Step(
        "segment list --limit 2 --sort name:asc -c name",
        listed("name", "rack1", "rack2", "rack3"),
    ),
    refused("segment list --limit many", "400: .*limit"),
    Step(
        "segment list --sort name:asc -c name -c is_enabled -f table",
        """\
+-------+------------+
| name  | is_enabled |
+-------+------------+
| rack1 | True       |
| rack2 | False      |
| rack3 | True       |
+-------+------------+
""",
    ),
    # one
    Step("segment show rack2", RACK2_SHOWN),
    Step("segment show $rack1 -f value -c name -c uuid", "$rack1\nrack1\n"),
    refused("segment show rack9", "rack9"),
    Step(
        "segment update rack3 --name rack4 --recovery_method auto_priority --service_type cpu"
        " --is_enabled 0 --description 'was rack3'",
        RACK3_CHANGED | {"name": "rack4"} | OFF,
    ),
    Step(
        "--os-ha-api-version 1.1 segment update $rack3 --name rack3",
        RACK3_CHANGED,
    ),
    refused("segment update rack3 --name rack1", "409: .*rack1"),
    refused("segment update rack9 --name rack10", "No Segment found for rack9"),
    Step("segment delete rack2 $rack3", "Segment deleted: rack2\nSegment deleted: $rack3\n"),
    # the client prints why not, and ends with 0
    Step("segment delete rack9", re.compile("NotFoundException: 404: .*rack9.*\n")),
    Step("segment list -c name", listed("name", "rack1")),
]

COMPUTE = "segment host create {} COMPUTE ssh rack1"
ROWS = [
    {
        "uuid": f"$compute{n}",
        "name": f"compute{n}",
        "type": "COMPUTE",
        "control_attributes": "ssh",
        "reserved": n == 3,
        "on_maintenance": False,
        "failover_segment_id": "$rack1",
    }
    for n in (3, 2, 1)
]

GPU = host("compute4", type="GPU", control_attributes="ipmi", updated_at=TIME)

HOSTS = [
    Step("segment host list rack1", []),
    Step(COMPUTE.format("compute1"), host("compute1"), keep="compute1"),
    Step(COMPUTE.format("compute2"), host("compute2"), keep="compute2"),
    Step(
        "segment host create compute3 COMPUTE ssh $rack1 --reserved True --on_maintenance False",
        host("compute3", reserved=True),
        keep="compute3",
    ),
    refused(COMPUTE.format("compute1"), "409: .*compute1"),
    refused(COMPUTE.format("compute99"), "400: .*compute99"),
    refused("segment host create compute4 'A B' ssh rack1", "400: .*host.type"),
    Step("segment host list rack1", ROWS),
    Step(
        "segment host list $rack1 --sort name:asc -c name",
        listed("name", "compute1", "compute2", "compute3"),
    ),
    Step(
        "segment host list rack1 --filters reserved=True -c name",
        listed("name", "compute3"),
    ),
    Step(
        "segment host list rack1 -c name"
        " --filters 'type=COMPUTE;on_maintenance=False;reserved=no;failover_segment_id=$rack1'",
        listed("name", "compute2", "compute1"),
    ),
    Step("segment host list rack1 --filters type=other", []),
    refused("segment host list rack1 --filters reserved=perhaps", "400: .*reserved.*perhaps"),
    Step(
        "segment host list rack1 --sort name:asc --marker $compute1 -c name",
        listed("name", "compute2", "compute3"),
    ),
    Step(
        "segment host list rack1 --sort name:asc --marker $compute2_id -c name",
        listed("name", "compute3"),
    ),
    Step(
        "segment host list rack1 --sort name:asc --limit 1 -c name",
        listed("name", "compute1", "compute2", "compute3"),
    ),
    Step("segment host show rack1 compute3", host("compute3", reserved=True)),
    Step("segment host show $rack1 $compute1", host("compute1")),
    refused("segment host show rack1 compute9", "compute9"),
    Step(
        "segment host update rack1 compute3 --name compute4 --type GPU --control_attributes ipmi"
        " --reserved False --on_maintenance True",
        GPU | {"on_maintenance": True},
    ),
    Step(
        "segment host update $rack1 $compute3 --on_maintenance False",
        GPU,
    ),
    refused("segment host update rack1 compute4 --name compute1", "409: .*compute1"),
    refused("segment host update rack1 compute9 --type GPU", "No Host found for compute9"),
    Step("segment host delete rack1 compute4", "Host deleted: compute4\n"),
    refused("segment host delete rack1 compute4", "compute4"),
    Step("segment host list rack1 -c name", listed("name", "compute2", "compute1")),
]

STOPPED = {"cluster_status": "OFFLINE", "event": "STOPPED", "host_status": "NORMAL"}
PROCESS = {"event": "STOPPED", "process_name": "libvirtd"}
VM = {"event": "LIFECYCLE", "instance_uuid": "$vm3", "vir_domain_event": "STOPPED_FAILED"}
DETAILS = {"recovery_workflow_details": ...}
DEAD = """\
notification create COMPUTE_HOST compute1 2026-01-01T01:00:00.000
 '{"event": "STOPPED", "host_status": "NORMAL", "cluster_status": "OFFLINE"}'"""
MOVED = {
    "uuid": UUID,
    "server_id": "$vm1",
    "server_name": "vm1",
    "source_host": "compute1",
    "dest_host": re.compile("compute[2-6]"),
    "start_time": TIME,
    "end_time": TIME,
    "type": "evacuation",
    "status": "succeeded",
}
LIST_MOVES = "notification vmove list $dead --sort instance_name:asc"

NOTIFICATIONS = [
    Step("notification list", []),
    Step(DEAD, notification("COMPUTE_HOST", "compute1", STOPPED, **DETAILS), keep="dead"),
    refused(DEAD, "409: "),
    refused("notification create VM compute9 2026-01-01 '{}'", "400: .*notification"),
    refused("notification create VM compute9 2026-01-01 '{'", "JSON|Expecting"),
    Step(
        "--os-ha-api-version 1.0 notification create PROCESS compute2 '2026-01-01 01:00:00'"
        """ '{"process_name": "libvirtd", "event": "STOPPED"}'""",
        notification("PROCESS", "compute2", PROCESS),
        keep="process",
    ),
    Step(
        """notification create VM compute2 2026-01-01T02:00:00+01:00 '{"instance_uuid": "$vm3","""
        """ "event": "LIFECYCLE", "vir_domain_event": "STOPPED_FAILED"}'""",
        notification("VM", "compute2", VM, **DETAILS),
        keep="vm",
    ),
    Step("notification show $dead -f value -c status", "finished\n", until="finished\n"),
    Step("notification show $process -f value -c status", "finished\n", until="finished\n"),
    Step("notification show $vm -f value -c status", "finished\n", until="finished\n"),
    Step(
        "notification show $dead -c recovery_workflow_details",
        {
            "recovery_workflow_details": [
                {
                    "progress": 1.0,
                    "name": name,
                    "state": "SUCCESS",
                    "progress_details": ...,
                    "id": None,
                    "location": None,
                }
                for name in (
                    "DisableComputeServiceTask",
                    "PrepareHAEnabledInstancesTask",
                    "EvacuateInstancesTask",
                )
            ]
        },
    ),
    Step(
        "--os-ha-api-version 1 notification show $dead",
        notification("COMPUTE_HOST", "compute1", STOPPED, "finished"),
    ),
    refused("notification show $rack1", "not found|No .*otification"),
    Step(
        "notification list",
        [
            {
                "notification_uuid": f"${name}",
                "generated_time": "2026-01-01T01:00:00.000000",
                "status": "finished",
                "type": kind,
                "source_host_uuid": f"${host}",
                "payload": payload,
            }
            for name, kind, host, payload in (
                ("vm", "VM", "compute2", VM),
                ("process", "PROCESS", "compute2", PROCESS),
                ("dead", "COMPUTE_HOST", "compute1", STOPPED),
            )
        ],
    ),
    Step(
        "notification list --sort type:asc -c type",
        listed("type", "COMPUTE_HOST", "PROCESS", "VM"),  # by their letters
    ),
    Step(
        "notification list --filters 'source_host_uuid=$compute2;status=finished' -c type",
        listed("type", "VM", "PROCESS"),
    ),
    Step(
        "notification list --filters type=VM --filters generated-since=2026-01-01T01:00:00 -c type",
        listed("type", "VM"),
    ),
    Step("notification list --filters generated-since=2026-01-01T01:00:01", []),
    Step("notification list --filters status=unheard-of", []),
    refused("notification list --filters generated-since=yesterday", "400: .*generated-since"),
    Step("notification list --marker $process -c type", listed("type", "COMPUTE_HOST")),
    Step(
        "notification list --marker $vm_id -c type",
        listed("type", "PROCESS", "COMPUTE_HOST"),
    ),
    Step(
        "notification list --limit 1 -c type",
        listed("type", "VM", "PROCESS", "COMPUTE_HOST"),
    ),
    # vmoves
    Step(LIST_MOVES, [MOVED, MOVED | {"server_id": "$vm2", "server_name": "vm2"}]),
    Step(
        f"{LIST_MOVES} -f value -c uuid",
        re.compile(f"({UUID.pattern}\n){{2}}"),
        keep="move1",
    ),
    Step(f"{LIST_MOVES} --limit 1 -c server_name", listed("server_name", "vm1", "vm2")),
    Step(
        f"{LIST_MOVES} --filters 'type=evacuation;status=succeeded' -c server_name",
        listed("server_name", "vm1", "vm2"),
    ),
    Step("notification vmove list $dead --filters status=failed", []),
    Step(f"{LIST_MOVES} --marker $move1 -c server_name", listed("server_name", "vm2")),
    Step(f"{LIST_MOVES} --marker $move1_id -c server_name", listed("server_name", "vm2")),
    refused(f"{LIST_MOVES} --marker 4711", "400: .*4711"),
    Step(
        "notification vmove show $dead $move1",
        {"created_at": TIME, "updated_at": TIME} | MOVED | {"message": None},
    ),
    refused("notification vmove show $dead $vm1", "not found|No .*move"),
    refused("notification vmove list $vm", "400: .*COMPUTE_HOST"),
    refused("segment delete", "required"),
]
