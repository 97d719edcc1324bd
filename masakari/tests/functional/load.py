"""Requests at a steady rate, to see whether a server that ends or reloads loses one."""

import http.client
import itertools
import threading
import time

RATE = 200


def get(port, path="/v1/segments", headers=None):
    """The status of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


class Load:
    """Requests, RATE in a second, each on a connection of its own."""

    def __init__(self, port, path="/", headers=None):
        self.answers, self.failures, self.refused = [], [], []
        self._request = (port, path, headers)
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self._began = time.monotonic()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(16)]
        for thread in self._threads:
            thread.start()

    def _run(self):
        while not self._stop.wait(self._pause_s()):
            try:
                self.answers.append(get(*self._request))
            except ConnectionRefusedError:
                self.refused.append(time.monotonic())
            except (OSError, http.client.HTTPException) as e:
                self.failures.append(repr(e))

    def _pause_s(self):
        return max(0, self._began + next(self._numbers) / RATE - time.monotonic())

    def end(self):
        """No more; answers in a second."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return len(self.answers) / (time.monotonic() - self._began)
