"""A client that talks to the WSGI application without a socket."""

import json
import re
from dataclasses import dataclass, field

import webob

ADMIN = {"X-Auth-Token": "admin:0123456789abcdef0123456789abcdef"}


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict
    text: str

    @property
    def json(self):
        return json.loads(self.text)

    @property
    def error(self):
        """(name of the fault, message) of an error."""
        ((name, content),) = self.json.items()
        assert set(content) == {"code", "message"}
        assert content["code"] == self.status
        return name, content["message"]


TELLTALES = re.compile(
    r"\b[A-Z]\w+(?:Error|Exception)\b|\b(?:sqlalchemy|pymysql|sqlite3|psycopg|webob|keystonemiddleware)\b"
    r"|Traceback|\bmasakari\.\w+\.\w|\.py\b|<\w+ object|0x[0-9a-f]{6}|site-packages"
    r"|\b(?:SELECT|INSERT INTO|UPDATE|DELETE FROM)\b.*\b(?:FROM|VALUES|SET|WHERE)\b"
    r"|(?:^|[\s'\"(])/(?:usr|home|tmp|opt|var|etc|root)/|secret|password",
    re.DOTALL,
)
"""What no error may tell: classes, SQL, paths on the server, secrets."""


def check(answer):
    """Fail if an error tells what is not the client's business; every test passes here."""
    if answer.status >= 400:
        told = TELLTALES.search(answer.text)
        assert told is None, f"{told[0]!r} in {answer.text}"


@dataclass
class Client:
    """Sends requests below *root* with *headers*."""

    application: object
    root: str = "/v1"
    headers: dict = field(default_factory=lambda: dict(ADMIN))
    environ: dict = field(default_factory=dict)

    def send(self, method, path, body=None, *, version=None, raw=None, headers=None):
        http = webob.Request.blank(self.root + path, method=method, environ=self.environ)
        http.headers.update(self.headers | (headers or {}))
        if version:
            http.headers["OpenStack-API-Version"] = f"instance-ha {version}"
        if body is not None:
            raw = json.dumps(body).encode()
            http.headers.setdefault("Content-Type", "application/json")
        if raw is not None:
            http.body = raw
        response = http.get_response(self.application)
        answer = Answer(response.status_code, response.headers, response.text)
        check(answer)
        return answer

    def get(self, path, **kwargs):
        return self.send("GET", path, **kwargs)

    def post(self, path, body=None, **kwargs):
        return self.send("POST", path, body, **kwargs)

    def put(self, path, body=None, **kwargs):
        return self.send("PUT", path, body, **kwargs)

    def delete(self, path, **kwargs):
        return self.send("DELETE", path, **kwargs)

    # ---- what most stories begin with

    def segment(self, name="rack1", **more):
        body = {"name": name, "recovery_method": "auto", "service_type": "COMPUTE"}
        answer = self.post("/segments", {"segment": body | more}, version="1.2")
        assert answer.status == 201, answer
        return answer.json["segment"]

    def host(self, segment, name="compute1", **more):
        body = {"name": name, "type": "COMPUTE", "control_attributes": "SSH"}
        answer = self.post(f"/segments/{segment['uuid']}/hosts", {"host": body | more})
        assert answer.status == 201, answer
        return answer.json["host"]

    def notify(self, *, headers=None, **changes):
        """Report that compute1 stopped, with *changes* to the notification."""
        body = {"notification": host_stopped(**changes)}
        return self.post("/notifications", body, headers=headers)


def host_stopped(**changes):
    """The notification of a host monitor."""
    return {
        "type": "COMPUTE_HOST",
        "hostname": "compute1",
        "generated_time": "2026-01-01T00:00:00.123456",
        "payload": {"event": "STOPPED", "host_status": "NORMAL", "cluster_status": "OFFLINE"},
    } | changes
