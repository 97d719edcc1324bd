"""Where hosts are asked."""

import socket

import pytest

from masakari import errors
from masakari.monitors.hosts import addresses as addresses_
from masakari.monitors.hosts.addresses import Address, Addresses, Resolver
from masakari.monitors.hosts.second_opinion import OPTIONS


@pytest.mark.parametrize(
    ("pattern", "listed", "host", "address"),
    [
        ("{host}", [], "compute1", "compute1:22"),
        ("{host}.mgmt.example.com", [], "compute1", "compute1.mgmt.example.com:22"),
        ("ipmi-{host}:2222", [], "compute1", "ipmi-compute1:2222"),
        ("{host}", ["compute1=10.0.0.1"], "compute1", "10.0.0.1:22"),
        ("{host}", ["compute1=10.0.0.1:2222"], "compute1", "10.0.0.1:2222"),
        ("{host}", [" compute1 = fd00::1 "], "compute1", "[fd00::1]:22"),
        ("{host}", ["compute1=[fd00::1]:80"], "compute1", "[fd00::1]:80"),
        ("{host}", ["compute1=[fd00::1]"], "compute1", "[fd00::1]:22"),
        ("{host}", ["COMPUTE1=10.0.0.1"], "compute1", "10.0.0.1:22"),
        ("{host}", ["compute1.b=10.9.9.9"], "compute1", "compute1:22"),
        ("{host}", ["compute1=10.9.9.9"], "compute1.b", "compute1.b:22"),
        ("{host}", ["compute1.a=10.0.0.1", "compute1.b=10.0.0.2"], "compute1", "compute1:22"),
        ("{host}", ["compute2=10.0.0.2"], "compute1", "compute1:22"),
    ],
)
def test_address_is_listed_or_follows_the_pattern(pattern, listed, host, address):
    assert str(Addresses(pattern, listed, 22, OPTIONS).of(host)) == address


@pytest.mark.parametrize(
    ("pattern", "listed", "option"),
    [
        ("compute", [], "second_opinion_address"),
        ("{host}.{domain}", [], "second_opinion_address"),
        ("{host}:ssh", [], "second_opinion_address"),
        ("{host}", ["compute1"], "second_opinion_addresses"),
        ("{host}", ["=10.0.0.1"], "second_opinion_addresses"),
        ("{host}", ["compute1="], "second_opinion_addresses"),
        ("{host}", ["compute1=10.0.0.1:99999"], "second_opinion_addresses"),
        ("{host}", ["compute1=[fd00::1"], "second_opinion_addresses"),
        ("{host}", ["compute1=[fd00::1]80"], "second_opinion_addresses"),
    ],
)
def test_address_that_is_none_names_the_option(pattern, listed, option):
    with pytest.raises(errors.ConfigInvalid, match=rf"^\[host\] {option}: "):
        Addresses(pattern, listed, 22, OPTIONS)


LOCAL = [(socket.AF_INET, ("127.0.0.1", 22))]


def test_resolve_tells_why_a_name_has_no_address():
    address = Address("no-such-host.invalid", 22)

    found = Resolver().resolve([address, Address("127.0.0.1", 22)])

    assert found[Address("127.0.0.1", 22)] == LOCAL
    assert found[address].startswith("no-such-host.invalid:22 could not be resolved (")


def test_resolve_keeps_what_it_knew_while_the_name_service_is_away(monkeypatch):
    resolver, address = Resolver(fresh_s=0), Address("localhost", 22)
    known = resolver.resolve([address])[address]

    def away(*_args, **_kwargs):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(addresses_.socket, "getaddrinfo", away)

    assert resolver.resolve([address])[address] == known


def test_resolve_asks_again_only_when_what_is_known_is_old(monkeypatch):
    resolver, address = Resolver(), Address("localhost", 22)
    known = resolver.resolve([address])[address]
    monkeypatch.setattr(addresses_.socket, "getaddrinfo", lambda *_a, **_k: pytest.fail("asked"))

    assert resolver.resolve([address])[address] == known
