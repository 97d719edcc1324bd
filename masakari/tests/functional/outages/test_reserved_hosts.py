"""The backend of locks is away, or slow, while two engines want the same reserved hosts."""

import pytest

from masakari.tests import servers
from masakari.tests.functional import promises
from masakari.tests.functional.coordination.deployment import VMS, Deployment
from masakari.tests.functional.outages.site import SLOW_S
from masakari.tests.functional.program import wait

pytestmark = pytest.mark.functional

PAIRS = {
    when: (f"{when}-1", f"{when}-2") for when in ("away-at-start", "away-in-the-middle", "slow")
}
"""Two hosts that die at once, each time."""
SPARES = {when: (f"spare-{when}-1", f"spare-{when}-2") for when in PAIRS}


@pytest.fixture
def gate(server):
    """In front of etcd; shut."""
    with servers.Gate(server("etcd").port) as gate:
        gate.shut()
        yield gate


@pytest.fixture
def deployment(gate, tmp_path, mariadb_url, rabbit_url):
    """Whose engines have started without the backend."""
    locks = f"etcd3+http://127.0.0.1:{gate.port}?timeout=3"
    dead, spares = ([h for pair in kind.values() for h in pair] for kind in (PAIRS, SPARES))
    with Deployment(
        tmp_path, mariadb_url, rabbit_url, locks, dead=dead, spares=spares
    ) as deployment:
        deployment.register(())
        yield deployment


def test_backend_away_or_slow_each_reserved_host_is_taken_once(deployment, gate):
    recover(deployment, "away-at-start")
    for engine in deployment.engines:
        engine.wait_until_said("the lock backend is not available: ")

    gate.open()
    for engine in deployment.engines:
        engine.wait_until_said("the lock backend is available again, after ")
    recover(deployment, "away-in-the-middle", once_some_move=gate.shut)

    gate.delay_s = SLOW_S
    gate.open()
    recover(deployment, "slow")


def recover(deployment, when, once_some_move=lambda: None):
    """Two hosts die; each is recovered onto a reserved host of its own, every VM once."""
    pair, spares = PAIRS[when], SPARES[when]
    for name in spares:
        deployment.add(name, reserved=True)
    evacuations = deployment.cloud.ledger.evacuations
    paths = deployment.die(pair)
    wait("some VMs move", lambda: any(e.source in pair for e in evacuations), 90)
    once_some_move()
    wait(
        "both are recovered",
        lambda: {deployment.status(path) for path in paths.values()} == {"finished"},
        120,
    )

    assert sorted(map(sorted, deployment.moved(pair).values())) == [[name] for name in spares]
    assert deployment.reserved() == set()
    for host in pair:
        promises.evacuated_once(deployment.cloud, host, [f"{host}-vm{n}" for n in range(VMS)])
