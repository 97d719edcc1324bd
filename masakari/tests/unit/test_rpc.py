import subprocess
import sys
import threading

import pytest
from oslo_config import cfg
from oslo_messaging import conffixture

from masakari import conf as conf_
from masakari import rpc
from masakari.clock import SystemClock
from masakari.errors import ConfigInvalid


@pytest.fixture
def conf():
    conf = cfg.ConfigOpts()
    conf_.register(conf)
    conf([], default_config_files=[])
    with conffixture.ConfFixture(conf):  # declares what oslo.messaging looks for on cfg.CONF only
        yield conf


def test_recover_is_heard_by_a_server_on_the_bus(conf):
    bus = rpc.transport(conf, rpc.IN_PROCESS)
    heard, done = [], threading.Event()

    def recover(uuid):
        heard.append(uuid)
        done.set()

    server = rpc.server(conf, bus, recover)
    server.start()
    try:
        rpc.EngineClient(conf, bus, rpc.watch(SystemClock())).recover("n1")
        assert done.wait(10)
    finally:
        server.stop()
        server.wait()
    assert heard == ["n1"]


BUS_AWAY = """
import logging
from oslo_config import cfg
import masakari.cmd
from masakari import conf as conf_, rpc
from masakari.clock import SystemClock

conf_.register(cfg.CONF)
cfg.CONF([], default_config_files=[])
logging.basicConfig()
bus = rpc.transport(cfg.CONF, "rabbit://nobody:secret@127.0.0.1:1/")
client = rpc.EngineClient(cfg.CONF, bus, rpc.watch(SystemClock()))
for n in range(rpc.QUEUE_LENGTH + 5):
    client.recover(f"n{n}")
"""


def test_recover_bus_away_returns_at_once_and_forgets_what_does_not_fit():
    """In a process of its own: the thread that tries to connect goes on until its process ends."""
    done = subprocess.run(
        [sys.executable, "-c", BUS_AWAY], capture_output=True, text=True, timeout=60, check=True
    )

    assert "the sweep finds it" in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize("url", ["nonsense", "carrier-pigeon://host/", "rabbit://u:secret@h:port/"])
def test_transport_malformed_url_names_the_option(conf, url):
    rpc.transport(conf)
    conf.set_override("transport_url", url)

    with pytest.raises(ConfigInvalid) as error:
        rpc.transport(conf)

    assert "[DEFAULT] transport_url" in str(error.value)
    assert "secret" not in str(error.value)


def test_transport_port_that_is_no_number_is_said(conf):
    rpc.transport(conf)
    conf.set_override("transport_url", "rabbit://u:secret@h:port/")

    with pytest.raises(ConfigInvalid, match="the port in the URL is not a number"):
        rpc.transport(conf)
