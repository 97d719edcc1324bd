"""Ask the agents in guests whether they live, and QEMU whether a guest moves anything.

Agents need a connection that may write.  libvirt serves five requests of a connection at a time,
and twenty in all; an agent that hangs holds one of them for five seconds, and a QEMU that hangs,
asked for its guest's I/O, for ever.  So there are three connections: for guests that have answered
last time, for those that have not, and for questions about I/O, of which a QEMU has one at a time.
Who cannot be asked, because others hang, is not silent: of those it is said that nothing is known.
"""

import json
from typing import Any, Protocol

from masakari.monitors.instances.heartbeat import Activity, Answer
from masakari.monitors.instances.hypervisor import Away, Gone, Hypervisor, library

PING = '{"execute": "guest-ping"}'
LONGEST = 4096
"""Characters of an answer to a ping; a good one has 13."""
SYNC_S = 6.0
"""libvirt first waits for an agent that has not answered before."""

MOST_ASKED = 4
"""QEMUs that are asked for a guest's I/O at a time, those included that never answer.  With five
requests under way libvirt reads no more of a connection: another one is late without being asked,
and so is a keepalive, of which the connection dies."""

_ANSWERS = {
    "AGENT_UNRESPONSIVE": Answer.MISSING,
    "AGENT_UNSYNCED": Answer.MISSING,
    "AGENT_COMMAND_TIMEOUT": Answer.MISSING,
    "AGENT_COMMAND_FAILED": Answer.MISSING,
    "OPERATION_TIMEOUT": Answer.MISSING,
    "INTERNAL_ERROR": Answer.MISSING,  # libvirt could not read the answer
    "OPERATION_INVALID": Answer.PAUSED,
    "ARGUMENT_UNSUPPORTED": Answer.ABSENT,
}
"""What errors of libvirt, VIR_ERR_…, mean."""


class Agents(Protocol):
    """Who asks; for many threads."""

    def ping(self, uuid: str, *, is_ill: bool) -> Answer:
        """How the question to the guest's agent has ended; *is_ill*: it had not answered before."""

    def activity(self, uuid: str) -> Activity:
        """What its QEMU says of its I/O."""


def is_good(text: object) -> bool:
    """Whether that is the answer to a ping."""
    if not isinstance(text, str) or len(text) > LONGEST:
        return False
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and "return" in found


class LibvirtAgents:
    """The agents behind libvirt."""

    def __init__(
        self, well: Hypervisor, ill: Hypervisor, activity: Hypervisor, *, timeout_s: int
    ) -> None:
        """*well* and *ill* may write; *activity* makes MOST_ASKED calls at a time."""
        import libvirt_qemu  # noqa: PLC0415  optional, as libvirt

        self._libvirt = library()
        self._qemu: Any = libvirt_qemu
        self._well, self._ill, self._activity = well, ill, activity
        self._timeout_s = timeout_s
        self._answers = {
            getattr(self._libvirt, f"VIR_ERR_{name}"): answer
            for name, answer in _ANSWERS.items()
            if hasattr(self._libvirt, f"VIR_ERR_{name}")  # some are of newer releases
        }

    def ping(self, uuid: str, *, is_ill: bool) -> Answer:
        """As Agents."""
        lane = self._ill if is_ill else self._well

        def ask(domain: Any) -> Answer:
            try:
                said = self._qemu.qemuAgentCommand(domain, PING, self._timeout_s, 0)
            except self._libvirt.libvirtError as e:
                if "not connected" in str(e):
                    return Answer.ABSENT
                answer = self._answers.get(e.get_error_code())
                if answer is None:
                    raise
                return answer
            return Answer.GOOD if is_good(said) else Answer.MISSING

        try:
            return lane.of_domain(uuid, "pinging an agent", ask, self._timeout_s + SYNC_S)
        except Gone:
            return Answer.ABSENT
        except Away as e:
            return Answer.MISSING if e.is_silence else Answer.UNKNOWN

    def activity(self, uuid: str) -> Activity:
        """As Agents."""
        libvirt = self._libvirt
        kinds = libvirt.VIR_DOMAIN_STATS_BLOCK | libvirt.VIR_DOMAIN_STATS_INTERFACE

        def ask(domain: Any) -> int:
            ((_, stats),) = domain.connect().domainListGetStats([domain], kinds, 0)
            return sum(value for name, value in stats.items() if name.endswith(MOVED))

        try:
            return self._activity.of_domain(uuid, "asking for a guest's I/O", ask, is_alone=True)
        except Gone:
            return Answer.UNKNOWN
        except Away as e:
            return None if e.is_silence else Answer.UNKNOWN


MOVED = (".rd.bytes", ".wr.bytes", ".tx.bytes")
"""What a guest does itself: what its networks receive comes from others."""
