"""What one engine holds, no other engine gets: on real backends."""

import pathlib
import uuid
from collections.abc import Iterator

import pytest

from masakari import clock, locks
from masakari.tests import conftest, servers
from masakari.tests.functional.coordination import holder

pytestmark = pytest.mark.functional

CLOCK = clock.SystemClock()
LEASE_S = 2
"""So long the backend waits for a sign of life of who holds a lock."""
URLS = {
    "etcd": "etcd3+http://127.0.0.1:{port}?timeout=5&lock_timeout=2&membership_timeout=2",
    "redis": f"redis://:{servers.PASSWORD}@127.0.0.1:{{port}}?timeout=5&lock_timeout=2",
    "zookeeper": "zookeeper://127.0.0.1:{port}?timeout=2",
}
FREE_S = 15
"""A lock whose holder was killed is free by then."""
BACK_S = 40
"""A backend that answers again is used by then."""


@pytest.fixture(params=[*URLS, "file"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def url(kind: str, server: conftest.StartServer, tmp_path: pathlib.Path) -> str:
    if kind == "file":
        return f"file://{tmp_path}/locks"
    return URLS[kind].format(port=server(kind).port)


@pytest.fixture
def other(url: str) -> Iterator[holder.Holder]:
    """Another process."""
    with holder.Holder(url) as process:
        yield process


@pytest.fixture
def mine(url: str) -> Iterator[locks.ToozLocks]:
    found = holder.connect(url)
    yield found
    found.close()


@pytest.fixture
def name() -> str:
    return f"reserved-host-{uuid.uuid4()}"


def is_free(mine: locks.ToozLocks, name: str) -> bool:
    with mine.hold(name) as is_mine:
        return is_mine


def test_held_by_another_process_is_refused(
    mine: locks.ToozLocks, other: holder.Holder, name: str
) -> None:
    assert other.hold(name)

    assert not is_free(mine, name)
    assert is_free(mine, f"{name}-2")


def test_held_here_is_refused_to_another_process(
    mine: locks.ToozLocks, other: holder.Holder, name: str
) -> None:
    with mine.hold(name):
        assert not other.hold(name)


def test_held_here_is_refused_here(mine: locks.ToozLocks, name: str) -> None:
    """To another recovery of the same engine."""
    with mine.hold(name) as first, mine.hold(name) as second:
        assert (first, second) == (True, False)

    assert is_free(mine, name)


def test_released_is_free_at_once(mine: locks.ToozLocks, other: holder.Holder, name: str) -> None:
    other.hold(name)

    other.release()

    assert is_free(mine, name)


def test_killed_holder_loses_it(mine: locks.ToozLocks, other: holder.Holder, name: str) -> None:
    other.hold(name)

    other.kill()

    assert clock.wait_until(CLOCK, lambda: is_free(mine, name), FREE_S, 0.1)


def test_living_holder_keeps_it_beyond_the_lease(
    mine: locks.ToozLocks, other: holder.Holder, name: str
) -> None:
    assert other.hold(name)

    assert not clock.wait_until(CLOCK, lambda: is_free(mine, name), 2 * LEASE_S, 0.2)


@pytest.mark.parametrize("kind", URLS)
def test_backend_that_comes_late_keeps_nobody_from_working_and_is_used_then(
    kind: str,
    server: conftest.StartServer,
    other: holder.Holder,
    name: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG", "masakari.locks")
    other.hold(name)
    with servers.Gate(server(kind).port) as gate:
        gate.shut()
        late = holder.connect(URLS[kind].format(port=gate.port))

        assert is_free(late, name)
        gate.open()

        assert clock.wait_until(CLOCK, lambda: not is_free(late, name), BACK_S, 0.2)
        late.close()
    said = [r.getMessage() for r in caplog.records if r.name == "masakari.locks"]
    assert f"{name}: not locked, the lock backend does not answer" in said
    assert not any(servers.PASSWORD in text for text in said)


@pytest.mark.parametrize("kind", URLS)
def test_backend_that_goes_away_keeps_nobody_from_working_until_it_is_back(
    kind: str,
    server: conftest.StartServer,
    other: holder.Holder,
    name: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG", "masakari.locks")
    other.hold(name)
    with servers.Gate(server(kind).port) as gate:
        mine = holder.connect(URLS[kind].format(port=gate.port))
        assert not is_free(mine, name)

        gate.shut()
        assert is_free(mine, name)
        gate.open()

        assert clock.wait_until(CLOCK, lambda: not is_free(mine, name), BACK_S, 0.2)
        mine.close()
    assert any(r.getMessage().startswith(f"{name}: not locked: ") for r in caplog.records)
