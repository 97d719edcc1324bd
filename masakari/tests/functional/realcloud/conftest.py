import pytest

from masakari.tests.functional.realcloud import programs, testbed


@pytest.fixture(scope="session")
def bed():
    return testbed.Testbed()


@pytest.fixture(autouse=True)
def tidy(bed):
    bed.tidy()
    yield
    bed.tidy()


@pytest.fixture
def options():
    """Lines for [DEFAULT] of API and engine; tests may have others."""
    return ()


@pytest.fixture
def deployment(bed, tmp_path, options):
    """API, engine and host monitor, running."""
    made = programs.Deployment(bed, tmp_path, *options)
    try:
        yield made.start()
    finally:
        made.stop()
