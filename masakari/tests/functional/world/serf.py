"""Members of Consul's clusters: Serf's agents on simulated hosts, and an agent's HTTP API.

Consul's agents find out with Serf's library who is alive.  Consul itself is not in Debian, Serf
is.  So the gossip, and who fails or comes back, is real.  The HTTP API in front of it is
a stand-in of ours, with Consul's paths and numbers; it knows members, and nothing else of Consul.
A leader it names while most of the servers are alive for its agent, as Raft would find one.
"""

import contextlib
import http.server
import json
import threading

PROGRAMS = ("serf", "nft")
STATUS = {"none": 0, "alive": 1, "leaving": 2, "left": 3, "failed": 4}
SERVER = {"role": "consul"}
"""The tag of those that elect a leader."""


class Cluster:
    """One cluster, on ports of its own; hosts join one after the other."""

    def __init__(self, number: int = 0, *, profile: str = "local", reconnect_s: int = 1) -> None:
        """*profile* are Serf's timeouts: local, lan (as Consul's on a LAN) or wan.

        A failed member is asked each *reconnect_s* seconds whether it is back.
        """
        self._port = 7946 + number
        self._rpc = f"127.0.0.1:{7373 + number}"
        self._config = {"profile": profile, "reconnect_interval": f"{reconnect_s}s"}
        self._first = ""

    def join(self, host, *, server: bool = False) -> None:
        """An agent runs on the host."""
        config = {
            "node_name": host.name,
            "bind": f"{host.address}:{self._port}",
            "rpc_addr": self._rpc,
            "tags": SERVER if server else {},
            "retry_join": [self._first] if self._first else [],
            "retry_interval": "1s",
            **self._config,
        }
        name = f"/etc/serf/{self._port}.json"
        host.write(name, json.dumps(config))
        log = f"/var/log/serf-{self._port}.log"
        host.run("sh", "-c", f"setsid serf agent -config-file={name} >{log} 2>&1 </dev/null &")
        self._first = self._first or config["bind"]

    def members(self, host) -> list[dict]:
        """As Serf's agent on the host tells them; nobody if it does not answer."""
        said = host.run("serf", "members", "-format=json", f"-rpc-addr={self._rpc}", check=False)
        try:
            return json.loads(said)["members"]
        except ValueError:
            return []

    def lose(self, host) -> None:
        """The host is cut off from this cluster alone."""
        rules = "".join(
            f"{protocol} {end} {self._port} drop\n"
            for protocol in ("tcp", "udp")
            for end in ("sport", "dport")
        )
        chains = "".join(
            f"chain {hook} {{ type filter hook {hook} priority 0\n{rules}}}\n"
            for hook in ("input", "output")
        )
        host.run("nft", "-f", "-", text=f"table ip lost-{self._port} {{ {chains} }}\n")

    def find(self, host) -> None:
        """The host is in this cluster again."""
        host.run("nft", "delete", "table", "ip", f"lost-{self._port}")

    @contextlib.contextmanager
    def serving(self, host):
        """The address of the API of the host's agent, reached on a way of its own."""
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
            server.members = lambda: self.members(host)
            threading.Thread(target=server.serve_forever, args=(0.01,), name="consul").start()
            try:
                yield f"127.0.0.1:{server.server_address[1]}"
            finally:
                server.shutdown()


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        members = self.server.members()
        if not members:
            self._answer(500, "the agent does not answer")
        elif self.path == "/v1/agent/members":
            rows = [{"Name": row["name"], "Status": STATUS[row["status"]]} for row in members]
            self._answer(200, rows)
        elif self.path == "/v1/status/leader":
            self._answer(200, _leader(members))
        else:
            self._answer(404, "not served here")

    def _answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_args):
        pass


def _leader(members):
    servers = [row for row in members if row["tags"] == SERVER]
    alive = [row for row in servers if row["status"] == "alive"]
    return alive[0]["addr"] if len(alive) > len(servers) / 2 else ""
