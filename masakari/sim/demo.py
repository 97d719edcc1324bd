"""The demo: a compute host of a simulated cloud dies, and real Masakari brings its VMs back.

The cloud is simulated and speaks HTTP (`masakari.sim.http`); masakari-standalone is the real
program in a process of its own, and what is asked of it goes through openstacksdk.
"""

import argparse
import contextlib
import datetime
import pathlib
import random
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Sequence
from typing import Any

import openstack
from keystoneauth1 import exceptions as ks_exceptions
from openstack import exceptions as sdk_exceptions
from rich.console import Console

from masakari import clock as clock_
from masakari.sim import daemon, view
from masakari.sim.cloud import Fault, Settings, SimCloud
from masakari.sim.http import SimServer
from masakari.states import OPEN_STATUSES, NotificationStatus

RECOVERY_S = 120.0
LOOK_EACH_S = 0.1
ASK_EACH_S = 0.5
SEGMENT = "rack1"
PASSWORD = "secret"  # noqa: S105  the simulated Keystone takes any
STEPS = {
    "DisableComputeServiceTask": "the engine has stored the proof that the host is dead",
    "PrepareHAEnabledInstancesTask": "the engine has chosen the VMs",
    "EvacuateInstancesTask": "the engine has confirmed every VM",
}


class DemoFailed(Exception):
    """The demo cannot go on; `str()` is a sentence."""


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status: 0 only if every VM runs exactly once at the end."""
    wanted = _arguments(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    screen = view.View(Console(highlight=False))
    try:
        with Demo(wanted, screen) as demo:
            demo.run()
            return demo.verdict()
    except daemon.DaemonFailed as error:
        screen.say(f"The demo failed: {error}  The end of its log:")
        screen.say(error.tail)
    except (DemoFailed, sdk_exceptions.SDKException, ks_exceptions.ClientException) as error:
        screen.say(f"The demo failed: {error}")
    except KeyboardInterrupt:
        screen.say("Interrupted; everything is stopped and removed.")
        return 130
    return 1


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m masakari.sim demo",
        description="Cut the power of a compute host of a simulated cloud and watch Masakari "
        "bring its VMs back.",
    )
    parser.add_argument("--hosts", type=_at_least(2), default=4, help="compute hosts (%(default)s)")
    parser.add_argument("--vms", type=_at_least(1), default=24, help="VMs in all (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of all that is left to chance")
    parser.add_argument("--keep", action="store_true", help="stay up for exploring until Ctrl-C")
    return parser.parse_args(argv)


def _at_least(least: int) -> Any:  # what argparse calls a type
    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least} on")
        return int(text)

    return number


class Demo:
    """One run; a context manager that leaves no process, port or file behind."""

    def __init__(self, wanted: argparse.Namespace, screen: view.View) -> None:
        self._wanted = wanted
        self._view = screen
        self._clock = clock_.SystemClock()
        self._cloud = SimCloud(self._clock, Settings(), seed=wanted.seed)
        self._stack = contextlib.ExitStack()
        self._victim = "compute-1"
        self._victims: list[str] = []
        """Ids of the VMs on the host that is going to die."""
        self._cut_at = 0.0
        self._stages: list[view.Stage] = []
        self._notification: Any = None  # an untyped resource of openstacksdk

    def __enter__(self) -> "Demo":
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # ---- the story

    def _start(self) -> None:
        """The cloud and Masakari are up."""
        wanted = self._wanted
        directory = pathlib.Path(
            self._stack.enter_context(tempfile.TemporaryDirectory(prefix="masakari-demo-"))
        )
        port = _free_port()
        url = f"http://127.0.0.1:{port}"
        self._build()
        self._server = SimServer(self._cloud, ha_url=f"{url}/v1")
        self._stack.enter_context(self._server)
        self._view.say(
            f"A simulated cloud with {wanted.hosts} hosts and {wanted.vms} VMs: "
            f"Keystone {self._server.auth_url}, Nova {self._server.url}/compute/v2.1"
        )
        config = daemon.configuration(
            port=port,
            auth_url=self._server.auth_url,
            directory=directory,
            knocks={
                name: f"127.0.0.1:{self._server.listeners.port(name)}" for name in self._cloud.hosts
            },
        )
        self._daemon = self._stack.enter_context(daemon.Daemon(directory, config, url))
        self._daemon.wait_until_it_answers(self._clock)
        self._view.say(
            f"masakari-standalone, API {url}, configured by {len(config.splitlines())} lines in "
            f"{self._daemon.config_file}"
        )
        self._ha = self._connect()

    def run(self) -> None:
        """Register, cut the power, watch, and tell what happened."""
        self._register()
        self._clock.sleep(1.5)  # so that the monitor has seen all hosts alive
        self._view.heading(f"The power of {self._victim} is cut.")
        self._cut_at, self._cut_time = self._clock.monotonic(), self._clock.now()
        self._cloud.power_off(self._victim)
        self._watch()
        self._tell()

    def verdict(self) -> int:
        """0 if every VM runs exactly once and nothing was left behind; with --keep, later."""
        wrong = self._wrong()
        self._view.say("")
        for sentence in wrong:
            self._view.say(f"WRONG: {sentence}")
        if not wrong:
            self._view.say(
                f"The ledger says: each of {len(self._cloud.vms)} VMs runs exactly once."
            )
        self._view.heading("Look around" + ("" if self._wanted.keep else " (start with --keep)"))
        for line in self._commands():
            self._view.say(f"  {line}")
        if self._wanted.keep:
            self._view.say("Everything stays up until Ctrl-C.")
            self._stay()
        return 1 if wrong else 0

    # ---- its parts

    def _build(self) -> None:
        """Hosts, and VMs spread over them; how long an evacuation takes is left to chance."""
        chance = random.Random(self._wanted.seed)  # noqa: S311  reproducible on purpose
        for number in range(1, self._wanted.hosts + 1):
            self._cloud.add_host(f"compute-{number}")
        hosts = list(self._cloud.hosts)
        for number in range(1, self._wanted.vms + 1):
            name = f"vm-{number:02}"
            metadata = {"HA_Enabled": "True"} if chance.random() < 0.5 else {}
            host = hosts[(number - 1) % len(hosts)]
            uuid = self._cloud.add_server(host, name, metadata=metadata)
            self._cloud.add_fault(
                Fault("evacuate", server=name, times=None, duration_s=chance.uniform(1, 4))
            )
            if host == self._victim:
                self._victims.append(uuid)

    def _connect(self) -> Any:  # a proxy of openstacksdk, which is untyped
        connection = openstack.connect(
            auth={
                "auth_url": self._server.auth_url,
                "username": "admin",
                "password": PASSWORD,
                "project_name": "admin",
                "user_domain_name": "Default",
                "project_domain_name": "Default",
            },
            region_name="RegionOne",
            instance_ha_default_microversion="1.3",
            load_envvars=False,
            load_yaml_config=False,
        )
        self._stack.callback(connection.close)
        return connection.instance_ha

    def _register(self) -> None:
        segment = self._ha.create_segment(
            name=SEGMENT, recovery_method="auto", service_type="compute"
        )
        for name in self._cloud.hosts:
            self._ha.create_host(segment.uuid, name=name, type="COMPUTE", control_attributes="none")
        self._view.say(
            f"Segment {SEGMENT} (recovery method auto) with {len(self._cloud.hosts)} hosts is "
            "registered through openstacksdk."
        )

    def _watch(self) -> None:
        """Show how things stand until the notification is settled."""
        ask_at = 0.0
        with self._view.watching(self._victim, len(self._victims)) as screen:
            while self._seconds() < RECOVERY_S:
                self._daemon.check()
                if self._clock.monotonic() >= ask_at:
                    self._ask()
                    ask_at = self._clock.monotonic() + ASK_EACH_S
                screen.show(self._snapshot())
                if self._notification and self._notification.status not in OPEN_STATUSES:
                    return
                self._clock.sleep(LOOK_EACH_S)
        raise daemon.DaemonFailed(
            f"The recovery has not ended within {RECOVERY_S:g} s.", self._daemon.tail()
        )

    def _ask(self) -> None:
        """What the API says of the notification."""
        if self._notification is None:
            self._notification = next(iter(self._ha.notifications()), None)
        else:
            self._notification = self._ha.get_notification(self._notification.notification_uuid)

    def _snapshot(self) -> view.Snapshot:
        with self._cloud.present():
            vms = [self._cloud.vms[uuid] for uuid in self._victims]
            done = sum(vm.host != self._victim for vm in vms)
            moving = sum(
                move.source == self._victim and move.status in ("accepted", "pre-migrating")
                for move in self._cloud.moves.values()
            )
            service = "up" if self._cloud.is_up(self._cloud.hosts[self._victim]) else "down"
        if service == "down":
            self._reached("Nova reports the compute service down")
        return view.Snapshot(
            seconds=self._seconds(),
            service=service,
            notification=self._notification.status if self._notification else "none yet",
            pending=len(vms) - done - moving,
            moving=moving,
            done=done,
        )

    def _reached(self, what: str) -> None:
        if all(stage.what != what for stage in self._stages):
            self._stages.append(view.Stage(what, self._seconds()))

    def _seconds(self) -> float:
        return self._clock.monotonic() - self._cut_at

    # ---- what came out

    def _tell(self) -> None:
        """The timeline and the VMs."""
        notification = self._ha.get_notification(self._notification.notification_uuid)
        self._stages.append(
            view.Stage("the host monitor reports", self._since_cut(notification.generated_time))
        )
        for step in notification.recovery_workflow_details or []:
            if step.name in STEPS and step.progress_details:
                at = self._since_cut(step.progress_details[-1].timestamp)
                self._stages.append(view.Stage(STEPS[step.name], at))
                if step.name == "DisableComputeServiceTask":
                    proven = self._cut_time + datetime.timedelta(seconds=at)
                    self._cloud.ledger.proof(self._victim, proven)
        self._tell_arrival()
        self._view.timeline(
            [
                view.Stage(f"the power of {self._victim} is cut", 0.0),
                *sorted(self._stages, key=lambda stage: stage.at),
            ]
        )
        self._view.say(f"Notification {notification.notification_uuid}: {notification.status}.")
        self._view.journeys([self._journey(uuid) for uuid in self._victims])

    def _tell_arrival(self) -> None:
        """When the last VM began to run again, by the ledger; nothing if one does not."""
        with self._cloud.present():
            starts = [
                max(run.start for run in self._cloud.ledger.runs if run.server_id == uuid)
                for uuid in self._victims
            ]
        if min(starts) > self._cut_time:
            last = (max(starts) - self._cut_time).total_seconds()
            self._stages.append(view.Stage("the last VM has arrived", last))

    def _since_cut(self, timestamp: str) -> float:
        at = datetime.datetime.fromisoformat(timestamp).replace(tzinfo=None)
        return (at - self._cut_time).total_seconds()

    def _journey(self, uuid: str) -> view.Journey:
        runs = [run for run in self._cloud.ledger.runs if run.server_id == uuid]
        name, first, last = self._cloud.name_of(uuid), runs[0], runs[-1]
        if first.end is None or last is first:
            return view.Journey(name, first.host, "nowhere", self._seconds())
        return view.Journey(name, first.host, last.host, (last.start - first.end).total_seconds())

    def _wrong(self) -> list[str]:
        """What is not as it must be, by the ledger."""
        found = self._cloud.violations()
        running = self._cloud.running()
        for vm in self._cloud.vms.values():
            hosts = running.get(vm.name, [])
            if len(hosts) != 1:
                found.append(f"{vm.name} runs on {' and '.join(hosts) or 'no host'}.")
        found += [f"{name} was left locked." for name in self._cloud.left_locked()]
        if self._notification.status != NotificationStatus.FINISHED:
            message = self._notification.to_dict().get("message")
            found.append(f"The notification ended {self._notification.status}: {message}")
        return found

    def _commands(self) -> list[str]:
        uuid = self._notification.notification_uuid
        return [
            *openstack_at_hand(pathlib.Path(sys.executable).parent),
            f"export OS_AUTH_URL={self._server.auth_url} OS_USERNAME=admin OS_PASSWORD={PASSWORD} "
            "OS_PROJECT_NAME=admin",
            "export OS_USER_DOMAIN_NAME=Default OS_PROJECT_DOMAIN_NAME=Default "
            "OS_REGION_NAME=RegionOne",
            "openstack segment list",
            f"openstack segment host list {SEGMENT}",
            "openstack notification list",
            f"openstack notification show {uuid}",
            f"openstack notification vmove list {uuid}",
            "openstack compute service list",
            "openstack server list --all-projects --long",
            f"tail -f {self._daemon.log_file}",
            f"curl -X POST {self._server.url}/sim/hosts/compute-2/power_off   # the next one",
        ]

    def _stay(self) -> None:
        ended = threading.Event()
        while not ended.wait(1.0):
            self._daemon.check()


def openstack_at_hand(programs: pathlib.Path, path: str | None = None) -> list[str]:
    """What to type so that `openstack` is found: in *path* ($PATH), else in *programs*."""
    if shutil.which("openstack", path=path):
        return []
    install = f"{programs}/pip install python-openstackclient python-masakariclient"
    there = shutil.which("openstack", path=str(programs))
    return [*([] if there else [install]), f"export PATH={programs}:$PATH"]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])
