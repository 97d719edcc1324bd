"""One TCP port per simulated host that answers while the host does: a monitor's second opinion."""

import contextlib
import selectors
import socket
import threading

from masakari.sim.site import Site


class Listeners:
    """Follows the power and the network of the hosts of a Site; ports are free or base + index."""

    def __init__(self, site: Site, address: str = "127.0.0.1", base_port: int = 0) -> None:
        self._site = site
        self._address = address
        self._base_port = base_port
        self._lock = threading.Lock()
        self._sockets: dict[str, socket.socket] = {}
        self._ports: dict[str, int] = {}
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="sim-listeners", daemon=True)

    def start(self) -> None:
        """Every reachable host answers."""
        self._thread.start()
        self.follow()

    def follow(self) -> None:
        """Listen for the hosts that the site has now, and follow their changes."""
        with self._lock:
            gone = [name for name in self._ports if name not in self._site.hosts]
        for name in gone:
            self._close(name)
            del self._ports[name]
        for name, host in list(self._site.hosts.items()):
            self._change(name, host.reachable)
        self._site.watch(self._change)

    def stop(self) -> None:
        """Nobody answers any more."""
        self._stopping = True
        self._wake.send(b"x")
        if self._thread.is_alive():
            self._thread.join()
        for name in list(self._ports):
            self._close(name)
        self._selector.close()
        self._wake.close()
        self._woken.close()

    def port(self, host: str) -> int:
        """Stays the same while the host exists."""
        return self._ports[host]

    def _change(self, host: str, reachable: bool) -> None:
        if not reachable:
            self._close(host)
            return
        with self._lock:
            if host in self._sockets or self._stopping:
                return
            wanted = self._ports.get(host, 0)
            if not wanted and self._base_port:
                wanted = self._base_port + self._site.hosts[host].index
            listener = socket.create_server((self._address, wanted), backlog=64)
            listener.setblocking(False)
            self._ports[host] = listener.getsockname()[1]
            self._sockets[host] = listener
            self._selector.register(listener, selectors.EVENT_READ)
        self._wake.send(b"x")

    def _close(self, host: str) -> None:
        with self._lock:
            listener = self._sockets.pop(host, None)
            if listener is not None:
                self._selector.unregister(listener)
                listener.close()

    def _run(self) -> None:
        """Accept and hang up: that somebody accepts is the whole answer."""
        while not self._stopping:
            for key, _ in self._selector.select():
                if key.fileobj is self._woken:
                    self._woken.recv(64)
                elif isinstance(key.fileobj, socket.socket):
                    with contextlib.suppress(OSError):
                        connection, _ = key.fileobj.accept()
                        connection.close()
