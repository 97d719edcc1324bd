import pytest

from masakari.tests.functional.realcloud import programs, testbed
from masakari.tests.functional.realcloud.ha import Ha


@pytest.fixture(scope="session")
def bed():
    found = testbed.Testbed()
    found.tidy()
    return found


@pytest.fixture(autouse=True)
def tidy(bed):
    yield
    bed.tidy()


@pytest.fixture
def options():
    """Lines of the configuration of API and engines, the first of them in [DEFAULT]."""
    return ()


@pytest.fixture
def deployment(bed, tmp_path, options):
    """API, engine and host monitor, running."""
    made = programs.Deployment(bed, tmp_path, *options)
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture
def ha(bed, deployment):
    """The API, which is running."""
    return Ha(bed)
