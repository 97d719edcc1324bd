"""Masakari as its operator and its monitors use it, through openstacksdk."""

import pytest

from masakari import clock
from masakari.tests.functional.realcloud.testbed import wait

RECOVERY_S = 180
OPEN = ("new", "running", "error")


class Ha:
    """The API; *bed* is the cloud."""

    def __init__(self, bed):
        self._bed = bed
        self._api = bed.connect().instance_ha

    def register(self, method="auto", reserved=(), without=()):
        """The hosts of the cloud but *without* are in one segment; some are reserved.

        Of several reserved hosts the last is the first to be used.
        """
        self._api.create_segment(name="rack", recovery_method=method, service_type="COMPUTE")
        for host in self._bed.hosts:
            if host not in (*reserved, *without):
                self._add_host(host, reserved=False)
        for host in reserved:
            self.add_reserved_host(host)

    def add_reserved_host(self, host):
        """The segment has one more, which the scheduler avoids."""
        self._bed.disable(host, "spare")
        self._add_host(host, reserved=True)

    def observe(self, is_on):
        """What happens to the segment is only observed, or not."""
        answer = self._api.put(
            f"/segments/{self._segment()}",
            json={"segment": {"observe_only": is_on}},
            microversion="1.4",
        )
        assert answer.status_code == 200, answer.text

    def hosts(self):
        """{name: host}"""
        return {host.name: host for host in self._api.hosts(self._segment())}

    def reserved(self):
        """The names of the hosts that are reserved."""
        return {name for name, host in self.hosts().items() if host.reserved}

    # ---- as a monitor

    def report(self, type_, host, payload):
        """A monitor reports a failure; the notification's uuid."""
        made = self._api.create_notification(
            type=type_,
            hostname=host,
            generated_time=clock.SystemClock().now().isoformat(),
            payload=payload,
        )
        return made.notification_uuid

    def report_vm(self, server):
        """The instance monitor of its host has seen the server's QEMU die."""
        payload = {
            "instance_uuid": server,
            "event": "LIFECYCLE",
            "vir_domain_event": "STOPPED_FAILED",
        }
        return self.report("VM", self._bed.server(server).compute_host, payload)

    def report_process(self, host, process, event):
        """The process monitor of the host has seen it."""
        return self.report("PROCESS", host, {"process_name": process, "event": event})

    # ---- what became of it

    def of_host(self, host):
        """The only notification that the host died, or None."""
        uuid = self.hosts()[host].uuid
        found = list(self._api.notifications(type="COMPUTE_HOST", source_host_uuid=uuid))
        assert len(found) <= 1
        return found[0] if found else None

    def get(self, uuid):
        return self._api.get_notification(uuid)

    def message(self, uuid):
        """What the notification says of itself, which openstacksdk does not know."""
        answer = self._api.get(f"/notifications/{uuid}", microversion="1.3")
        return answer.json()["notification"]["message"]

    def moves(self, uuid):
        """The vmoves of the notification, oldest first."""
        return sorted(self._api.vmoves(uuid), key=lambda move: move.id)

    def outcomes(self, uuid):
        """Of each server, how each of its moves ended and where to, oldest first."""
        told = {}
        for move in self.moves(uuid):
            told.setdefault(move.server_id, []).append((move.status, move.dest_host))
        return told

    def steps(self, uuid):
        """(name, state, progress, [message]) of each step of the recovery."""
        return [
            (step.name, step.state, step.progress, [d["message"] for d in step.progress_details])
            for step in self.get(uuid).recovery_workflow_details
        ]

    def is_settled(self, uuid):
        return self.get(uuid).status not in OPEN

    def wait_until_settled(self, uuid, status="finished", timeout=RECOVERY_S):
        """The notification, which has come to an end, and to this one."""
        wait(f"notification {uuid} is settled", lambda: self.is_settled(uuid), timeout)
        return self.expect(uuid, status)

    def wait_until_recovered(self, host, status="finished", timeout=RECOVERY_S):
        """The uuid of the notification that the monitor sends, once it has come to this end."""
        wait(f"the death of {host} is reported", lambda: self.of_host(host), 60)
        uuid = self.of_host(host).notification_uuid
        self.wait_until_settled(uuid, status, timeout)
        return uuid

    def expect(self, uuid, status):
        found = self.get(uuid)
        if found.status != status:
            told = self.message(uuid)
            pytest.fail(f"notification {uuid} is {found.status}, not {status}: {told}")
        return found

    # ---- within

    def _add_host(self, name, *, reserved):
        self._api.create_host(
            self._segment(),
            name=name,
            type="COMPUTE",
            control_attributes="ssh",
            reserved=reserved,
        )

    def _segment(self):
        return next(self._api.segments()).uuid
