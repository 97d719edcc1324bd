#!/usr/bin/env python3
"""Walk through what an instance-HA service does, against the running cloud, with openstacksdk.

eval "$(./cloud env)"; "$REALCLOUD_PYTHON" prove.py [SERVERS]
"""

import collections
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time

import openstack
import oslo_messaging
from oslo_config import cfg

CLOUD = pathlib.Path(__file__).resolve().with_name("cloud")
COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 5
T0 = time.monotonic()
HOSTS = dict(pair.split("=") for pair in os.environ["REALCLOUD_HOSTS"].split(","))


def say(*text):
    print(f"[{time.monotonic() - T0:6.1f}s]", *text, flush=True)


def cloud(*args):
    return subprocess.run([CLOUD, *args], check=True, capture_output=True, text=True).stdout.split()


def wait(what, check, timeout=120):
    begin = time.monotonic()
    while not check():
        if time.monotonic() - begin > timeout:
            raise SystemExit("timed out: " + what)
        time.sleep(0.2)
    say(f"{what}: {time.monotonic() - begin:.1f} s")


def listens(host):
    address, _, port = HOSTS[host].rpartition(":")
    try:
        socket.create_connection((address, int(port)), 1).close()
    except OSError:
        return False
    return True


class Heard:
    """Counts versioned notifications by event type."""

    def __init__(self):
        self.seen = collections.Counter()
        self.last = {}
        url = os.environ["REALCLOUD_RABBIT_URL"]
        listener = oslo_messaging.get_notification_listener(
            oslo_messaging.get_notification_transport(cfg.ConfigOpts(), url),
            [oslo_messaging.Target(exchange="nova", topic="versioned_notifications")],
            [self],
            executor="threading",
        )
        threading.Thread(target=listener.start, daemon=True).start()

    def info(self, ctxt, publisher_id, event_type, payload, metadata):
        self.seen[event_type] += 1
        self.last[event_type] = payload["nova_object.data"]

    error = info


class Walk:
    def __init__(self):
        self.nova = openstack.connect().compute
        # From 2.95 on an evacuated server stays stopped on its new host, and openstacksdk asks for
        # the newest it knows
        self.active = openstack.connect(compute_default_microversion="2.94").compute

    def service(self, host):
        return next(self.nova.services(host=host, binary="nova-compute"))

    def server(self, uuid):
        return self.nova.get_server(uuid)

    def servers(self, uuids):
        return [s for s in self.nova.servers() if s.id in uuids]

    def migrations(self, host):
        found = self.nova.migrations()
        return [m for m in found if (m.migration_type, m.source_compute) == ("evacuation", host)]

    def one_server(self, uuid):
        """Stop, start, reset one server."""
        nova = self.nova
        one = self.server(uuid)
        say("one server", one.status, one.compute_host, one.metadata, one.hypervisor_hostname)
        nova.stop_server(one)
        wait("stop", lambda: self.server(uuid).status == "SHUTOFF")
        nova.start_server(one)
        wait("start", lambda: self.server(uuid).status == "ACTIVE")
        nova.reset_server_state(one, "error")
        wait("reset-state error", lambda: self.server(uuid).status == "ERROR")
        nova.reset_server_state(one, "active")
        wait("reset-state active", lambda: self.server(uuid).status == "ACTIVE")

    def evacuate(self, host, ids, *, force_down):
        """Kill the host, move its servers among *ids* away, bring the host back."""
        api, wanted = (self.nova, "SHUTOFF") if force_down else (self.active, "ACTIVE")
        mine = [s.id for s in self.servers(ids) if s.compute_host == host]
        cloud("kill-host", host)
        wait(f"{host} killed, its listener gone", lambda: not listens(host))
        if force_down:
            self.nova.update_service_forced_down(self.service(host))
        wait(f"{host} down", lambda: self.service(host).state == "down")
        self.nova.disable_service(self.service(host), disabled_reason="prove")
        begin = time.monotonic()
        for uuid in mine:
            api.evacuate_server(uuid)
        say(f"{len(mine)} evacuations accepted in {time.monotonic() - begin:.1f} s")

        def evacuated():
            states = {(s.compute_host != host, s.status, s.task_state) for s in self.servers(mine)}
            return states == {(True, wanted, None)}

        wait(f"evacuated and {wanted}", evacuated, 60 + 5 * len(mine))
        where = collections.Counter((s.status, s.compute_host) for s in self.servers(mine))
        say(f"{(time.monotonic() - begin) / len(mine):.2f} s a server; now", dict(where))
        say("migrations", dict(collections.Counter(m.status for m in self.migrations(host))))
        self.bring_back(host, forced_down=force_down)

    def bring_back(self, host, *, forced_down):
        cloud("start-host", host)
        wait(f"{host} started, its listener back", lambda: listens(host))
        wait(
            f"{host} has completed its evacuations",
            lambda: all(m.status == "completed" for m in self.migrations(host)),
        )
        if forced_down:  # Nova refuses this while an evacuation from the host is still 'done'
            self.nova.update_service_forced_down(self.service(host), forced=False)
        wait(f"{host} up", lambda: self.service(host).state == "up")
        self.nova.enable_service(self.service(host))


def main():
    walk = Walk()
    heard = Heard()
    nova = walk.nova
    say("services", [(s.host, s.status, s.state) for s in nova.services(binary="nova-compute")])
    begin = time.monotonic()
    ids = cloud("boot", "compute-1", str(COUNT), "--metadata", "HA_Enabled=True")
    say(f"booted {len(ids)} servers in {time.monotonic() - begin:.1f} s")
    walk.one_server(ids[0])
    nova.disable_service(walk.service("compute-2"), disabled_reason="prove")
    say("disabled", walk.service("compute-2").status, walk.service("compute-2").disabled_reason)
    nova.enable_service(walk.service("compute-2"))
    say("enabled", walk.service("compute-2").status)
    for force_down in (False, True):
        walk.evacuate(walk.server(ids[0]).compute_host, ids, force_down=force_down)
    for uuid in ids:
        nova.delete_server(uuid)
    wait("deleted", lambda: not walk.servers(ids))
    say("notifications", dict(sorted(heard.seen.items())))
    shown = ("host", "binary", "disabled", "forced_down", "last_seen_up")
    say("last service.update", {k: heard.last["service.update"][k] for k in shown})


main()
