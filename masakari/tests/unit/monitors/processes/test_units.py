"""What is known of units, with a D-Bus that says what the test wants."""

import collections
import contextlib

import pytest
from jeepney import DBusAddress, HeaderFields, new_error, new_method_return, new_signal

from masakari import alarms
from masakari.monitors.processes import units as units_
from masakari.monitors.processes.judge import Look
from masakari.monitors.processes.units import Units
from masakari.monitors.silence import Silence
from masakari.tests.unit.db.clocks import ManualClock

INVALID = "org.freedesktop.DBus.Error.InvalidArgs"
NOT_FOUND = ("inactive", "not-found")


class Bus:
    """Has `units`, {name: (object, ActiveState, LoadState) or the name of an error}.

    It is a connection as well.  When nothing has happened for a while `then` says what is next.
    """

    def __init__(self, clock):
        self._clock = clock
        self.units = {}
        self.then = []
        self.then_at_last = self.before_loading = lambda: None
        self._waiting = collections.deque()

    @contextlib.contextmanager
    def connect(self):
        yield self

    @contextlib.contextmanager
    def filter(self, rule, *, queue):
        yield queue

    def send_and_get_reply(self, message, *, timeout):
        message.header.serial = 1
        member = message.header.fields[HeaderFields.member]
        if member == "LoadUnit":
            self.before_loading()
            found = self.units[message.body[0]]
            if isinstance(found, str):
                return new_error(message, found, "s", ("it is refused",))
            return new_method_return(message, "o", (found[0],))
        if member == "Get":
            path, wanted = message.header.fields[HeaderFields.path], message.body[1]
            found = {unit[0]: unit[1:] for unit in self.units.values() if not isinstance(unit, str)}
            value = found[path][wanted == "LoadState"]
            return new_method_return(message, "v", (("s", value),))
        return new_method_return(message)

    def recv_until_filtered(self, queue, *, timeout):
        (self.then.pop(0) if self.then else self.then_at_last)()
        if self._waiting:
            return self._waiting.popleft()
        raise TimeoutError

    def change(self, path, state):
        changed = (units_.UNIT, {"ActiveState": ("s", state)}, [])
        emitter = DBusAddress(path, interface=units_.PROPERTIES)
        self._waiting.append(new_signal(emitter, "PropertiesChanged", "sa{sv}as", changed))

    def ask_again(self):
        self._clock.advance(units_.LONGEST_PAUSE_S)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def bus(clock):
    return Bus(clock)


@pytest.fixture
def watch(bus, clock):
    """Watches the units of the bus until all has happened; gives what is known."""
    stop = clock.event()
    bus.then_at_last = stop.set
    silence = Silence(alarms.SYSTEMD, clock, after_s=600)
    units = Units(clock, lambda: None, silence, connect=bus.connect)

    def watch():
        units.watch(bus.units)
        units.run(stop)
        stop.clear()
        return units.look()

    return watch


def looks(seen):
    return {name: each.look for name, each in seen.items()}


@pytest.mark.parametrize("error", [INVALID, "org.freedesktop.systemd1.NoSuchUnit"])
def test_unit_that_systemd_refuses_is_told_once_and_hides_no_other(bus, watch, caplog, error):
    bus.units = {
        "bad.service": error,
        "down.service": ("/down", "failed", "loaded"),
        "up.service": ("/up", "active", "loaded"),
    }
    bus.then = [bus.ask_again, bus.ask_again]

    seen = watch()

    assert looks(seen) == {
        "bad.service": Look.UNKNOWN,
        "down.service": Look.DOWN,
        "up.service": Look.UP,
    }
    assert "it is refused" in seen["bad.service"].detail
    told = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
    assert len(told) == 1
    assert told[0].startswith("[process] process_list_path: bad.service is not watched: refused: ")


def test_unit_that_systemd_refuses_for_a_while_has_not_died(bus, watch):
    up = {"up.service": ("/up", "active", "loaded")}

    def refuse():
        bus.units = dict.fromkeys(up, INVALID)
        bus.ask_again()

    def tell():
        bus.units = up
        bus.ask_again()

    bus.units = up
    bus.then = [refuse, tell, refuse]

    seen = watch()["up.service"]

    assert (seen.look, seen.deaths) == (Look.UNKNOWN, 0)


def test_systemd_that_is_away_hides_all(bus, watch):
    bus.units = {"up.service": ("/up", "active", "loaded")}
    assert looks(watch()) == {"up.service": Look.UP}

    bus.units |= {"new.service": "org.freedesktop.DBus.Error.ServiceUnknown"}
    bus.before_loading = bus.then_at_last  # it is asked once
    seen = watch()

    assert looks(seen) == dict.fromkeys(bus.units, Look.UNKNOWN)
    assert "D-Bus is away" in seen["up.service"].detail


def test_two_names_of_a_unit_are_both_known(bus, watch):
    bus.units = {
        "libvirtd.service": ("/one", "active", "loaded"),
        "libvirt-bin.service": ("/one", "active", "loaded"),
    }
    bus.then = [lambda: bus.change("/one", "failed")]

    seen = watch()

    assert looks(seen) == dict.fromkeys(bus.units, Look.DOWN)
    assert [each.deaths for each in seen.values()] == [1, 1]


def test_unit_that_does_not_exist_is_told_once_and_is_not_down(bus, watch, caplog):
    bus.units = {"absent.service": ("/absent", *NOT_FOUND)}
    bus.then = [bus.ask_again, bus.ask_again]

    seen = watch()

    assert looks(seen) == {"absent.service": Look.UNKNOWN}
    assert [r.getMessage() for r in caplog.records if r.levelname == "ERROR"] == [
        "[process] process_list_path: absent.service is not watched: systemd has no such unit"
    ]

    bus.then = [lambda: bus.change("/absent", "active")]
    assert looks(watch()) == {"absent.service": Look.UP}


def test_unit_that_has_vanished_is_down(bus, watch):
    bus.units = {"transient.service": ("/transient", "active", "loaded")}
    watch()

    bus.units = {"transient.service": ("/transient", *NOT_FOUND)}

    assert looks(watch()) == {"transient.service": Look.DOWN}
