"""Requests at a steady rate, to see whether a server that ends or reloads loses one."""

import functools
import http.client
import itertools
import threading
import time

RATE = 200


def get(port, path="/v1/segments", headers=None, *, address="127.0.0.1"):
    """The status of the answer."""
    connection = http.client.HTTPConnection(address, port, timeout=30)
    try:
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


class KeptConnection:
    """Requests on one connection for as long as the server leaves it open."""

    def __init__(self, port, path, headers):
        self._request = (path, headers)
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def ask(self):
        """The status of the answer; of a connection that has ended meanwhile, on another one."""
        if self._connection.sock is not None:
            try:
                return self._ask()
            except (ConnectionError, http.client.RemoteDisconnected):
                self._connection.close()
        return self._ask()

    def _ask(self):
        path, headers = self._request
        try:
            self._connection.request("GET", path, headers=headers or {})
            response = self._connection.getresponse()
            response.read()
        except BaseException:
            self._connection.close()
            raise
        return response.status


class Load:
    """Requests, *rate* in a second: each on a connection of its own, or 16 connections are kept."""

    def __init__(
        self, port, path="/", headers=None, *, is_kept=False, address="127.0.0.1", rate=RATE
    ):
        self.answers, self.failures, self.refused = [], [], []
        self._request = (port, path, headers)
        self._is_kept, self._address, self._rate = is_kept, address, rate
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self._began = time.monotonic()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(16)]
        for thread in self._threads:
            thread.start()

    def _run(self):
        if self._is_kept:
            ask = KeptConnection(*self._request).ask
        else:
            ask = functools.partial(get, *self._request, address=self._address)
        while not self._stop.wait(self._pause_s()):
            try:
                self.answers.append(ask())
            except ConnectionRefusedError:
                self.refused.append(time.monotonic())
            except (OSError, http.client.HTTPException) as e:
                self.failures.append(repr(e))

    def _pause_s(self):
        return max(0, self._began + next(self._numbers) / self._rate - time.monotonic())

    def end(self):
        """No more; answers in a second."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return len(self.answers) / (time.monotonic() - self._began)
