"""One site for the outages of a service while programs run, and new ones for those at the start."""

import pytest

from masakari.tests import conftest
from masakari.tests.functional.outages.site import Site
from masakari.tests.functional.program import wait


@pytest.fixture(scope="session")
def make_site(server, rabbit_url, tmp_path_factory):
    """Makes a site; each has a database of its own."""

    def make(database, name, **kw):
        return Site(
            tmp_path_factory.mktemp(name),
            database=database,
            bus=rabbit_url,
            locks_port=server("etcd").port,
            **kw,
        )

    return make


@pytest.fixture(scope="module")
def running(server, make_site):
    """All programs run, and all hosts are registered."""
    with (
        conftest.fresh_database(server, "mariadb", "outages") as url,
        make_site(url, "running", hosts=16) as site,
    ):
        for program in (site.api, site.engine, site.monitor):
            program.start()
        site.register()
        site.engine.wait_until_said("listening on the message bus")
        wait("the monitor is ready", lambda: site.ready(site.monitor_port), 30)
        yield site


@pytest.fixture
def site(running):
    """The same, whose services are all there, and a host that nothing has happened to."""
    running.next_host()
    yield running
    running.open_all()
    wait("the API answers", lambda: running.list_segments().status == 200, 60)
    for program in (running.api, running.engine, running.monitor):
        assert program.returncode is None, f"{program.name} has ended"
        assert not program.said("Traceback"), program.log


@pytest.fixture
def starting(mariadb_url, make_site):
    """A site whose programs are not started."""
    with make_site(mariadb_url, "starting", hosts=3) as site:
        site.next_host()
        yield site
        for program in (site.api, site.engine, site.monitor):
            assert not (program.is_started and program.said("Traceback")), program.log
