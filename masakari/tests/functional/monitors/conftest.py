"""A private libvirtd for the tests of a module, and guests on it."""

import contextlib
import uuid

import pytest

from masakari.tests.functional.world import libvirtd as world


@pytest.fixture(scope="module")
def libvirtd():
    if reason := world.missing():
        pytest.skip(reason)
    with world.running() as found:
        yield found


@pytest.fixture
def guest(libvirtd):
    """Starts guests, which are gone at the end."""
    connection = libvirtd.connect()
    domains = []

    def guest(name="", **options):
        text = world.xml(name or f"instance-{uuid.uuid4().hex[:8]}", **options)
        domain = connection.defineXML(text)
        domains.append(domain)
        domain.create()
        return domain

    yield guest
    for domain in domains:
        with contextlib.suppress(Exception):
            domain.destroy()
        with contextlib.suppress(Exception):
            domain.undefine()
    connection.close()
