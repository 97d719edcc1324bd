"""The options of the server programs: ours, and those of the libraries that each of them uses."""

from oslo_config import cfg

import masakari.conf
from masakari import rpc
from masakari.conf import credentials


def register_engine(conf: cfg.ConfigOpts) -> None:
    """Declare on *conf* what the engine uses; safe to repeat."""
    masakari.conf.register(conf)
    rpc.register(conf)
    credentials.register(conf)


def register_api(conf: cfg.ConfigOpts) -> None:
    """Declare on *conf* what API and engine use; safe to repeat."""
    # 18 MiB that the engine does without
    from masakari.conf import middleware  # noqa: PLC0415

    middleware.register(conf)
    register_engine(conf)
