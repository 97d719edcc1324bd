"""Every operation as every kind of user: the answers are those of personas.txt."""

import itertools
import pathlib
from dataclasses import dataclass

import pytest

from masakari import db
from masakari.api import operation, versions
from masakari.db.vmoves import NewMove
from masakari.sim.keystone import project_id
from masakari.tests.http.client import Client, host_stopped

TABLE = pathlib.Path(__file__).with_name("personas.txt")
CALLS = {
    f"{op.method} {path}": op for op in operation.in_order() for path in filter(None, op.paths)
}
SERVICE = "service"  # the project in [keystone_authtoken]
VM = "00000000-0000-4000-8000-000000000001"


def expected():
    """{persona: {operation: what is answered}} as the file says."""
    lines = [line.split() for line in TABLE.read_text().splitlines() if line[:1] not in ("#", "")]
    (_, *personas), *rows = lines
    calls = [f"{method} {path}" for method, path, *_ in rows]
    columns = zip(*(cells for _, _, *cells in rows), strict=True)
    return {
        who: dict(zip(calls, cells, strict=True))
        for who, cells in zip(personas, columns, strict=True)
    }


EXPECTED = expected()


@dataclass
class Persona:
    """How somebody asks; *grant* has the arguments of the simulated Keystone's `grant`."""

    grant: tuple | None
    scope: dict
    root: str = "/v1"

    def token(self, keystone):
        return keystone.grant(*self.grant, **self.scope) if self.grant else None


ADMIN = ("admin", "admin", "manager", "member", "reader")
ELSEWHERE = f"/v1/{project_id('elsewhere')}"
PERSONAS = {
    "admin": Persona(ADMIN, {"project": "admin"}),
    "sys-admin": Persona(ADMIN, {"system": True}),
    "dom-admin": Persona(ADMIN, {"domain": "default"}),
    "reader": Persona(("eve", "reader"), {"project": SERVICE}),
    "sys-reader": Persona(("eve", "reader"), {"system": True}),
    "dom-reader": Persona(("eve", "reader"), {"domain": "default"}),
    "elsewhere": Persona(("eve", "reader"), {"project": "demo"}),
    "member": Persona(("demo", "member", "reader"), {"project": "demo"}),
    "service": Persona(("monitor", "service"), {"project": SERVICE}),
    "wrong-path": Persona(ADMIN, {"project": "admin"}, root=ELSEWHERE),
    "expired": Persona(ADMIN, {"project": "admin", "life_s": -60}),
    "revoked": Persona(ADMIN, {"project": "admin"}),
    "no-token": Persona(None, {}),
    "noauth2": Persona(None, {}),
}


@pytest.fixture
def operator(conf, make_client):
    """Who makes what the operations work on."""
    conf.set_override("auth_strategy", "noauth2")
    return make_client()


@pytest.fixture
def ask_as(secured, make_client, keystone, operator):
    """Makes a client of a persona."""
    secured.set_override("auth_strategy", "keystone")
    secured.set_override("auth_url", keystone.auth_url, "keystone_authtoken")
    application = make_client().application

    def make(name):
        persona = PERSONAS[name]
        if name == "noauth2":
            return Client(operator.application, headers={})
        token = persona.token(keystone.keystone)
        if name == "revoked":
            keystone.keystone.revoke(token)
        return Client(application, persona.root, {"X-Auth-Token": token} if token else {})

    return make


@pytest.fixture
def call(operator, database):
    """Calls an operation on things of its own, with a body that is right."""
    numbers = itertools.count(1)

    def make_move(notification):
        vm = NewMove(VM, "vm1", "compute1", 1, "active", None, 1)
        (row,) = db.vmoves.prepare(database, notification, 1, 1, [vm])
        return row.uuid

    def call(client, name):
        number, op = next(numbers), CALLS[name]
        method, path = name.split()
        host = f"compute{number}"
        things = {"alias": "segments"}
        if "{segment_id}" in path or "notification" in path:
            segment = operator.segment(f"rack{number}")
            things["segment_id"] = segment["uuid"]
        if "{host_id}" in path or "notification" in path:
            things["host_id"] = operator.host(segment, host)["uuid"]
        if "{notification_id}" in path:
            made = operator.notify(hostname=host).json["notification"]
            things["notification_id"] = made["notification_uuid"]
        if "{vmove_id}" in path:
            things["vmove_id"] = make_move(things["notification_id"])
        body = body_of(path, number, host) if op.body else None
        version = versions.text(op.since)
        return client.send(method, path.format(**things), body, version=version)

    return call


def body_of(path, number, host):
    if path.endswith("/action"):
        return {"cancel": None}
    if "/hosts" in path:
        return {"host": {"name": host, "type": "COMPUTE", "control_attributes": "SSH"}}
    if "/segments" in path:
        segment = {"name": f"new{number}", "recovery_method": "auto", "service_type": "COMPUTE"}
        return {"segment": segment}
    return {"notification": host_stopped(hostname=host)}


def test_table_has_every_persona_and_every_operation():
    assert list(EXPECTED) == list(PERSONAS)
    assert {tuple(rows) for rows in EXPECTED.values()} == {tuple(CALLS)}


@pytest.mark.parametrize("persona", PERSONAS)
def test_answers_are_those_of_the_table(ask_as, call, cloud, persona):
    for number in range(10, len(CALLS) + 1):
        cloud.add_host(f"compute{number}")
    client = ask_as(persona)

    answers = {name: call(client, name) for name in CALLS}

    assert {name: str(a.status) for name, a in answers.items()} == EXPECTED[persona]
    for answer in answers.values():
        if answer.status == 403:
            assert answer.error[0] == "forbidden"
        if answer.status == 401:
            assert answer.headers["WWW-Authenticate"].startswith("Keystone uri=")
