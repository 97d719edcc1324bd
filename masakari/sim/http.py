"""The simulated cloud over HTTP: Keystone v3, Nova 2.1, a TCP port per host, and a control panel.

    python -m masakari.sim.http --port 21080 --hosts 4 --vms 24

Keystone stands at /v3, Nova at /compute/v2.1, the controls below /sim (see `sim.control`).
"""

import argparse
import contextlib
import dataclasses
import datetime
import email.utils
import re
import signal
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from masakari import clock as clock_
from masakari.sim.cloud import Settings, SimCloud
from masakari.sim.control import Control, Stats
from masakari.sim.keystone import Keystone
from masakari.sim.listeners import Listeners
from masakari.sim.nova import Nova
from masakari.sim.wire import Request, Response, WireServer

ID = re.compile(r"/[0-9a-f]{8}-[0-9a-f-]{27}")


class SimServer:
    """Serves one SimCloud until `stop`; a context manager."""

    def __init__(
        self,
        cloud: SimCloud,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        ha_url: str = "http://127.0.0.1:15868/v1",
        listener_port: int = 0,
    ) -> None:
        self.cloud = cloud
        self.stats = Stats()
        self.listeners = Listeners(cloud, host, listener_port)
        self.overheard: Callable[[Request], None] = lambda _: None
        """Is called with each request."""
        self._wire = WireServer(self._answer, host, port)
        self.url = self._wire.url
        self.keystone = Keystone(cloud.clock.now, self.url, ha_url)
        self._nova = Nova(cloud, self.keystone, self.url)
        self.policy = self._nova.policy
        """Nova's."""
        self.control = Control(
            cloud, self.keystone, self.stats, self.listeners.follow, self.listeners.port
        )

    @property
    def auth_url(self) -> str:
        """Keystone's."""
        return f"{self.url}/v3"

    def start(self) -> None:
        """Answer from now on."""
        self.listeners.start()
        self._wire.start()

    def stop(self) -> None:
        """All ports are closed."""
        self._wire.stop()
        self.listeners.stop()

    def cut_connections(self) -> None:
        """Every client's connections break once."""
        self._wire.cut_connections()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _answer(self, request: Request) -> Response:
        self.overheard(request)
        if request.path.startswith("/sim/"):
            return self.control.answer(request)
        kind = _kind(request)
        self.stats.begin(kind)
        status = 500
        try:
            response = self._dispatch(request)
            status = response.status
            return response
        finally:
            self.stats.end(kind, status)

    def _dispatch(self, request: Request) -> Response:
        if request.path.startswith("/compute"):
            answer = self._nova.answer(request, request.path.removeprefix("/compute") or "/")
        else:
            if self.control.keystone_latency_s:
                self.cloud.clock.sleep(self.control.keystone_latency_s)
            answer = self.keystone.answer(request)
        now = self.cloud.clock.now().replace(tzinfo=datetime.UTC)
        date = {"Date": email.utils.format_datetime(now, usegmt=True)}
        return dataclasses.replace(answer, headers={**date, **answer.headers})


def _kind(request: Request) -> str:
    """What the request is counted as, e.g. "nova POST /servers/ID/action evacuate"."""
    if not request.path.startswith("/compute"):
        return f"keystone {request.method} {request.path}"
    path = ID.sub("/ID", request.path.removeprefix("/compute").removeprefix("/v2.1")) or "/"
    if not path.endswith("/action"):
        return f"nova {request.method} {path}"
    name = request.body.split(b'"', 2)[1:2]
    return f"nova {request.method} {path} {name[0].decode() if name else ''}".strip()


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m masakari.sim.http", description="A simulated OpenStack cloud over HTTP."
    )
    parser.add_argument("--listen", default="127.0.0.1", help="address (%(default)s)")
    parser.add_argument("--port", type=int, default=21080, help="0: a free one (%(default)s)")
    parser.add_argument("--hosts", type=int, default=4, help="compute hosts (%(default)s)")
    parser.add_argument("--vms", type=int, default=24, help="servers in all (%(default)s)")
    parser.add_argument("--prefix", default="compute", help="of host names (%(default)s)")
    parser.add_argument("--node-suffix", default="", help="appended to hypervisor host names")
    parser.add_argument("--listener-port", type=int, default=0, help="first host's TCP port")
    parser.add_argument("--ha-url", default="http://127.0.0.1:15868/v1", help="instance-ha")
    parser.add_argument("--evacuation", type=float, default=2.0, help="seconds (%(default)s)")
    parser.add_argument("--latency", type=float, default=0.0, help="of Nova's answers, seconds")
    parser.add_argument("--keystone-latency", type=float, default=0.0, help="seconds")
    parser.add_argument("--service-down-time", type=float, default=6.0, help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until SIGINT or SIGTERM."""
    wanted = _arguments(argv)
    cloud = SimCloud(clock_.SystemClock(), Settings(), seed=wanted.seed)
    server = SimServer(
        cloud,
        host=wanted.listen,
        port=wanted.port,
        ha_url=wanted.ha_url,
        listener_port=wanted.listener_port,
    )
    each, rest = divmod(wanted.vms, max(wanted.hosts, 1))
    load = {f"{wanted.prefix}-{n}": each + (n <= rest) for n in range(1, wanted.hosts + 1)}
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with server:
        server.control.reset(
            hosts=wanted.hosts,
            load=load,
            prefix=wanted.prefix,
            node_suffix=wanted.node_suffix,
            evac_time=wanted.evacuation,
            latency=wanted.latency,
            keystone_latency=wanted.keystone_latency,
            service_down_time=wanted.service_down_time,
        )
        with contextlib.suppress(BrokenPipeError):
            print(
                f"keystone {server.auth_url}  nova {server.url}/compute/v2.1  "
                f"control {server.url}/sim/state",
                flush=True,
            )
        ended.wait()


if __name__ == "__main__":
    main()
