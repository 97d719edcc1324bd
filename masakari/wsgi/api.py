"""The REST API for uWSGI, gunicorn, mod_wsgi: they load `masakari.wsgi.api:application`.

The configuration is `masakari.conf` in the directory that OS_MASAKARI_CONFIG_DIR names, by default
/etc/masakari, and what overlays it in `masakari.conf.d` there.  Connections are opened by the first
request, so after the server has forked.
"""

import atexit
import os
import threading
from collections.abc import Callable, Iterable

from oslo_config import cfg
from oslo_log import log

from masakari import notifier
from masakari.api import faults, paste
from masakari.api.middleware import Application, Environ, StartResponse
from masakari.clock import SystemClock
from masakari.cmd import api, common, files, options
from masakari.errors import ConfigInvalid

LOG = log.getLogger(__name__)

CONFIG_DIR = "OS_MASAKARI_CONFIG_DIR"
DEFAULT_CONFIG_DIR = "/etc/masakari"


class Lazy:
    """A WSGI application that is made when the first request comes, once per process.

    What cannot be made answers every request with 500; the log says why.
    """

    def __init__(self, make: Callable[[], Application]) -> None:
        """Make it by *make*."""
        self._make = make
        self._made: Application | None = None
        self._lock = threading.Lock()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Pass on."""
        application = self._made or self._once()
        return application(environ, start_response)

    def _once(self) -> Application:
        with self._lock:
            if self._made is None:
                self._made = self._make_or_fail()
            return self._made

    def _make_or_fail(self) -> Application:
        try:
            return self._make()
        except (ConfigInvalid, cfg.Error, log.LogConfigError) as e:
            LOG.critical("%s", e)
        answer: Application = faults.fault(500, "The API is not configured; its log says why.")
        return answer


def make() -> Application:
    """The API as the configuration file says."""
    directory = os.environ.get(CONFIG_DIR) or DEFAULT_CONFIG_DIR
    conf = common.configure(
        cfg.CONF,
        "masakari-api",
        argv=[],
        register=options.register_api,
        places=files.places_in(directory, "masakari"),
    )
    common.tell(conf)
    paste.warn(conf)
    meter = api.worker_meter()
    events = notifier.connect(conf, meter)
    atexit.register(notifier.close, events)
    return api.make_application(conf, SystemClock(), events=events, meter=meter)


application = Lazy(make)
