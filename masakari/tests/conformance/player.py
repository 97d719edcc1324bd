"""Plays the steps of a file of cases (see cases.yaml) against a server."""

import http.client
import json
import re
from urllib import parse

import yaml

from masakari import clock
from masakari.tests.conformance.labels import UUID, Labels

TOKENS = {"admin": "admin-token", "demo": "demo-token", "reader": "reader-token"}
"""Of the simulated Keystone, by the name that a step gives."""
FINAL = ("finished", "failed", "ignored")
WAIT_S = 90
_UNKNOWN = "00000000-0000-4000-8000-00000000dead"
"""What stands for a value that no answer had."""


class Player:
    """Knows what earlier answers gave: later steps refer to it."""

    def __init__(self, text, *, url, sim, tokens=TOKENS):
        """*text* is the file of cases."""
        self._steps = yaml.safe_load(text)
        self._url, self._sim, self._tokens = url.rstrip("/"), sim.rstrip("/"), tokens
        self._clock = clock.SystemClock()
        self._saved = {"project": self._project_id()}
        self._labels = Labels(
            set(UUID.findall(text)),
            {self._url: "<url>", self._sim: "<keystone>", self._saved["project"]: "<project>"},
        )

    def play(self):
        """Yields (name, "METHOD path", answer) of each case; an answer has status, headers, body.

        Cases whose recorded answer is chance are played and not told.
        """
        for step in self._steps:
            if "sim" in step:
                self._control(step)
            elif "sleep" in step:
                self._clock.sleep(step["sleep"])
            elif "wait" in step:
                self._wait(step)
            else:
                answer = self._case(step)
                if not step.get("unstable"):
                    yield step["id"], step["r"], answer

    # ---- steps

    def _case(self, step):
        self._labels.begin(step["id"])
        try:
            status, headers, text = self._request(step)
        except (OSError, http.client.HTTPException) as error:
            return {"status": type(error).__name__, "headers": {}, "body": None}
        document = _parsed(text)
        for name, path in step.get("save", {}).items():
            found = _at(document, path)
            if found is not None:
                self._saved[name] = found
            else:
                self._saved.setdefault(name, _UNKNOWN)
        return {
            "status": status,
            "headers": self._labels.headers(headers),
            "body": self._labels.json(document),
        }

    def _request(self, step):
        method, path = step["r"].split(" ", 1)
        headers = dict(step.get("h", {}))
        token = step.get("t", "admin")
        if token != "none":
            headers["X-Auth-Token"] = self._tokens.get(token, "no-such-token")
        if "mv" in step:
            headers["OpenStack-API-Version"] = f"instance-ha {step['mv']}"
        raw = step.get("raw")
        if "b" in step:
            raw = json.dumps(self._filled(step["b"]))
            headers["Content-Type"] = "application/json"
        if "ct" in step:
            headers["Content-Type"] = step["ct"]
        return _send(self._url, method, self._filled(path), raw, headers)

    def _control(self, step):
        method, path = step["sim"].split(" ", 1)
        status, _, text = _send(self._sim, method, path, json.dumps(step.get("b", {})), {})
        if status >= 400:
            raise RuntimeError(f"the simulator answers {step['sim']} with {status}: {text}")

    def _wait(self, step):
        """A notification that is not to be had is not waited for: its cases tell."""
        headers = {"X-Auth-Token": self._tokens["admin"]}

        def is_there():
            _, _, text = _send(self._url, "GET", self._filled(step["wait"]), None, headers)
            status = _at(_parsed(text), "notification.status")
            return status is None or status in step.get("until", FINAL)

        clock.wait_until(self._clock, is_there, WAIT_S, 0.2)

    def _project_id(self):
        headers = {name: self._tokens["admin"] for name in ("X-Auth-Token", "X-Subject-Token")}
        _, _, text = _send(self._sim, "GET", "/v3/auth/tokens", None, headers)
        return json.loads(text)["token"]["project"]["id"]

    def _filled(self, value):
        """*value* with what the words with a dollar stand for."""
        if isinstance(value, dict):
            return {self._filled(name): self._filled(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._filled(item) for item in value]
        if not isinstance(value, str):
            return value
        values = self._saved | {"now": self._clock.now().isoformat(timespec="seconds")}
        value = re.sub(r"\$\{(.)\*(\d+)\}", lambda found: found[1] * int(found[2]), value)
        return re.sub(r"\$(\w+)", lambda found: str(values.get(found[1], found[0])), value)


def _send(base, method, path, body, headers):
    """(status, headers by lower-case name, text)."""
    where = parse.urlsplit(base)
    connection = http.client.HTTPConnection(where.netloc, timeout=60)
    try:
        content = None if body is None else body.encode()
        connection.request(method, where.path + path, content, headers)
        answer = connection.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, names, answer.read().decode()
    finally:
        connection.close()


def _parsed(text):
    try:
        return json.loads(text) if text else None
    except ValueError:
        return {"<not json>": text[:2000]}


def _at(document, path):
    """What stands at *path* (names and numbers with dots between), or None."""
    for part in path.split("."):
        try:
            document = document[int(part)] if isinstance(document, list) else document[part]
        except (KeyError, TypeError, IndexError):
            return None
    return document
