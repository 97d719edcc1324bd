"""nova-compute with Nova's own FakeDriver, made restartable.  Started by `cloud`.

nova-compute itself is unmodified; only the virt driver is a subclass of nova.virt.fake.FakeDriver:
 * the stock driver draws a random node UUID per process, so a restarted nova-compute would refuse
   its own node: here the UUID is kept in STATE_PATH/compute_id, by Nova's own code, as the libvirt
   driver does;
 * the stock driver forgets its guests when the process dies: here they are remembered in
   STATE_PATH/guests.json and come back powered off, as libvirt domains do after a host reboot;
 * STATE_PATH/faults.json ({"spawn_delay": seconds, "spawn_error": 1, "power_on_error": 1,
   "migrate_error": 1}) makes building or evacuating slow or failing, and powering on and the
   arrival of a cold migration failing;
 * a file STATE_PATH/crashes/UUID (its content: seconds, or nothing) ends that guest, as when its
   QEMU dies, and Nova is told so many seconds later, as by libvirt's event; with no content Nova
   is not told.

The process also accepts TCP connections on port $REALCLOUD_LISTEN: a sign of life of the "host"
that dies with it, beside Nova's heartbeat.
"""
# ruff: noqa: E402, I001  Nova wants to be patched before anything else is imported

from nova import monkey_patch

monkey_patch.patch(backend="threading")  # as nova-compute does

import json
import os
import pathlib
import socketserver
import sys
import threading
import time

from nova import exception
from nova.cmd import compute
from nova.compute import power_state
import nova.conf
from nova.virt import event
from nova.virt import fake
from nova.virt import node

CONF = nova.conf.CONF


def read(name):
    try:
        return json.loads(pathlib.Path(CONF.state_path, name).read_text())
    except FileNotFoundError:
        return {}


class Guests(dict):
    """uuid -> FakeInstance, saved on every change."""

    lock = threading.Lock()

    def save(self, change, *args):
        saved = pathlib.Path(CONF.state_path, "guests.json")
        with self.lock:
            change(*args)
            new = saved.with_suffix(".new")
            new.write_text(json.dumps({u: i.name for u, i in self.items()}))
            new.replace(saved)

    def __setitem__(self, key, value):
        self.save(super().__setitem__, key, value)

    def __delitem__(self, key):
        self.save(super().__delitem__, key)


class Driver(fake.FakeDriver):
    def __init__(self, virtapi, read_only=False):
        super().__init__(virtapi, read_only)
        self.instances = Guests(
            (u, fake.FakeInstance(name, power_state.SHUTDOWN, u))
            for u, name in read("guests.json").items()
        )

    def get_nodenames_by_uuid(self, refresh=False):
        return {node.get_local_node_uuid(): n for n in self.get_available_nodes()}

    def get_available_resource(self, nodename):
        return dict(super().get_available_resource(nodename), uuid=node.get_local_node_uuid())

    def spawn(self, context, instance, *args, **kwargs):
        faults = read("faults.json")
        time.sleep(float(faults.get("spawn_delay", 0)))
        if faults.get("spawn_error"):
            raise exception.InstanceDeployFailure(reason="spawn_error is set for this host")
        super().spawn(context, instance, *args, **kwargs)

    def power_on(self, context, instance, *args, **kwargs):
        if read("faults.json").get("power_on_error"):
            raise exception.InstancePowerOnFailure(reason="power_on_error is set for this host")
        super().power_on(context, instance, *args, **kwargs)

    def finish_migration(self, *args, **kwargs):
        if read("faults.json").get("migrate_error"):
            raise exception.InstanceDeployFailure(reason="migrate_error is set for this host")
        super().finish_migration(*args, **kwargs)

    def init_host(self, host):
        super().init_host(host)
        threading.Thread(target=self.watch_crashes, daemon=True).start()

    def watch_crashes(self):
        directory = pathlib.Path(CONF.state_path, "crashes")
        while True:
            for crash in directory.glob("*"):
                told_after = crash.read_text()
                crash.unlink()
                self.crash(crash.name, float(told_after) if told_after else None)
            time.sleep(0.1)

    def crash(self, uuid, told_after):
        if uuid not in self.instances:
            return
        self.instances[uuid].state = power_state.SHUTDOWN
        if told_after is not None:
            stopped = event.LifecycleEvent(uuid, event.EVENT_LIFECYCLE_STOPPED)
            threading.Timer(told_after, self.emit_event, [stopped]).start()


class Listener(socketserver.TCPServer):
    """Accepts connections and closes them."""

    allow_reuse_address = True


def listen(port):
    listener = Listener(("127.0.0.1", port), socketserver.BaseRequestHandler)
    threading.Thread(target=listener.serve_forever, daemon=True).start()


if __name__ == "__main__":
    if "REALCLOUD_LISTEN" in os.environ:
        listen(int(os.environ["REALCLOUD_LISTEN"]))
    sys.modules["nova.virt.realcloud"] = sys.modules[
        "__main__"
    ]  # compute_driver = realcloud.Driver
    sys.exit(compute.main())
