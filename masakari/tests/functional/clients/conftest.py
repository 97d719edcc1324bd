import pytest

from masakari.tests import conftest
from masakari.tests.functional.clients.deployment import Deployment


@pytest.fixture(scope="module")
def deployment(tmp_path_factory, server, rabbit_url):
    """API and engine, running; the tests of a module share it."""
    directory = tmp_path_factory.mktemp("clients")
    with (
        conftest.fresh_database(server, "mariadb", "clients") as url,
        Deployment(directory, url, rabbit_url) as made,
    ):
        yield made
