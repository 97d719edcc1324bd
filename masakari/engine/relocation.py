"""Moving a VM that cannot be kept running where it is: by cold migration, one step at a time.

Nova's states between the steps are those seen on Nova 34.
"""

import contextlib
from typing import Any

from masakari.cloud import Server
from masakari.engine import instance, vm_checks
from masakari.engine.world import Job
from masakari.errors import CloudRefused, RecoveryIgnored, VMNotRecovered
from masakari.states import Reason, VmAction


class MigrateInstanceTask(instance.InstanceStep):
    """The VM is active on another host, to which Nova has moved it."""

    action = VmAction.RELOCATE

    def __init__(self, **kwargs: Any) -> None:
        """Have asked for nothing."""
        super().__init__(**kwargs)
        self._asked: set[str] = set()
        self._source: str | None = None

    def execute(self, instance_uuid: str) -> None:
        """Do what its state asks for next, until it is there."""
        self._source = self._begun() or self._begin_anew()
        if self._was_asked_for():
            self._asked.add("migrate")
        self.say(f"Moving VM {instance_uuid} off host {self._source}.", 0.0)
        server = self.await_seen("to be active on another host", self._advance, _relocation_s)
        self.say(f"VM {server.name} is active on host {server.host}.", 1.0)

    def _begun(self) -> str | None:
        """The host that the VM leaves, if this attempt has begun to move it."""
        attempt = self.job.notification.attempt
        return next((r.host for r in instance.relocations(self.job) if r.attempt == attempt), None)

    def _require_own_move(self) -> None:
        """What waits to be confirmed is not its owner's resize.  Raises RecoveryIgnored."""
        nova = self.job.world.cloud
        moves = (a for a in nova.actions(self.job.vm) if a.name in ("migrate", "resize"))
        newest = next(moves, None)
        if newest is None or newest.name != "migrate" or newest.user_id != nova.user_id:
            raise RecoveryIgnored(
                "The VM's owner has resized it meanwhile, and has to confirm that.",
                reason=Reason.VM_STATE,
            )

    def _was_asked_for(self) -> bool:
        """Whether an engine before us has had Nova move the VM in this attempt."""
        job = self.job
        attempt = job.notification.attempt
        begun_at = next(r.started_at for r in instance.relocations(job) if r.attempt == attempt)
        return any(
            a.name == "migrate" and a.started_at > begun_at - vm_checks.SAME_MOMENT
            for a in job.world.cloud.actions(job.vm)
        )

    def _begin_anew(self) -> str | None:
        """The host that the VM leaves: what an attempt before did by half is brought to its end."""
        before = [r.host for r in instance.relocations(self.job)]
        server = self.look()
        instance.require_service(self.job, server)
        source = before[-1] if before else server.host
        self.begin(source)
        return source

    def _advance(self, server: Server) -> bool:
        """Whether it is there; if not, the next request is made when Nova is idle."""
        if server.task_state is not None:
            return False
        if server.host == self._source:
            self._leave(server)
            return False
        return self._arrive(server)

    def _leave(self, server: Server) -> None:
        """Nova was asked to move it, or to make it ready for that."""
        nova, leave = self.job.world.cloud, self.job.lease.check
        match server.vm_state:
            case _ if "migrate" in self._asked:
                raise VMNotRecovered(
                    f"Nova did not move the VM: it is on host {server.host}, "
                    f"vm_state {server.vm_state}."
                )
            case "stopped":
                # Nova would confirm the older of two moves (seen on Nova 34)
                if nova.has_unconfirmed_move(server.id):
                    raise VMNotRecovered("An earlier resize of the VM was never confirmed.")
                self.say(f"Nova chooses another host for VM {server.name}.", 0.3)
                nova.migrate(server.id, leave=leave)
                self._asked.add("migrate")
            case "active":
                nova.stop(server.id, leave=leave)
            case "error":
                nova.reset_state(server.id, "active", leave=leave)
            case state:
                raise VMNotRecovered(f"The VM cannot be moved in vm_state {state}.")

    def _arrive(self, server: Server) -> bool:
        """Whether it runs on the other host; if not, what is missing is asked for, once."""
        nova, leave = self.job.world.cloud, self.job.lease.check
        if server.vm_state == "active":
            return True
        if server.vm_state in self._asked:
            if server.vm_state == "resized":
                return False  # Nova shows no task while it confirms (seen on Nova 34)
            raise VMNotRecovered(
                f"The VM is on host {server.host}, and stays in vm_state {server.vm_state}."
            )
        self._asked.add(server.vm_state)
        match server.vm_state:
            case "resized":
                self._require_own_move()
                self.say(f"VM {server.name} is on host {server.host}: confirming.", 0.6)
                with contextlib.suppress(CloudRefused):  # an engine before us had asked
                    nova.confirm_resize(server.id, leave=leave)
            case "stopped":
                self.say(f"Starting VM {server.name} on host {server.host}.", 0.8)
                instance.start(self.job, server.id)
            case "error":  # a hard reboot builds the guest there anew (seen on Nova 34)
                self.say(f"The move of VM {server.name} failed half-way: rebooting it.", 0.8)
                nova.reboot(server.id, leave=leave)
            case state:
                raise VMNotRecovered(f"The VM is on host {server.host}, in vm_state {state}.")
        return False


def _relocation_s(job: Job) -> float:
    return float(job.world.conf.instance_failure.relocation_timeout)
