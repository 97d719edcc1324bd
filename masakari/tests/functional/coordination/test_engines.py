"""Two hosts die at once, two engines recover them: no reserved host is used by both."""

import pytest

from masakari.tests import servers
from masakari.tests.functional import promises
from masakari.tests.functional.coordination.deployment import DEAD, SPARES, Deployment
from masakari.tests.functional.program import wait

pytestmark = pytest.mark.functional

URLS = {
    "etcd": "etcd3+http://127.0.0.1:{port}",
    "redis": f"redis://:{servers.PASSWORD}@127.0.0.1:{{port}}",
}


@pytest.fixture(params=URLS)
def deployment(request, server, tmp_path, mariadb_url, rabbit_url):
    locks = URLS[request.param].format(port=server(request.param).port)
    with Deployment(tmp_path, mariadb_url, rabbit_url, locks) as deployment:
        yield deployment


def test_each_dead_host_gets_a_reserved_host_of_its_own(deployment):
    deployment.register(SPARES)

    paths = deployment.die()
    wait(
        "both are recovered",
        lambda: {deployment.status(path) for path in paths.values()} == {"finished"},
        90,
    )

    assert sorted(deployment.moved().values(), key=min) == [{"spare1"}, {"spare2"}]
    assert deployment.reserved() == set()
    promises.keep(deployment.cloud)


def test_who_gets_no_reserved_host_waits_for_the_next_one(deployment):
    deployment.register(SPARES[:1])

    paths = deployment.die()
    wait(
        "one is recovered, the other waits",
        lambda: {deployment.status(path) for path in paths.values()} == {"finished", "error"},
        90,
    )
    served = next(h for h in DEAD if deployment.status(paths[h]) == "finished")
    waiting = next(h for h in DEAD if h != served)
    before = deployment.moved()
    deployment.add("spare2", reserved=True)
    wait(
        "the other is recovered",
        lambda: deployment.status(paths[waiting]) == "finished",
        90,
    )

    assert before == {served: {"spare1"}, waiting: set()}
    assert deployment.moved() == {served: {"spare1"}, waiting: {"spare2"}}
    assert deployment.reserved() == set()
    promises.keep(deployment.cloud)
