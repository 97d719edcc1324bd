"""Every option of the server programs: name, type, unit, default, help.  Nothing else.

OpenStack's names and defaults are kept; where a default of ours differs, the release notes say so.
Entry points call `register(cfg.CONF)` once and pass the object on; below them nobody imports it.
"""

from oslo_config import cfg

from masakari.conf import (
    alarms,
    api,
    credentials,
    database,
    engine,
    health,
    host_drivers,
    instances,
    monitors,
    nova,
    paths,
    processes,
    pushes,
    secrets,
    unused,
)

_SERVER = (paths, secrets, api, database, engine, nova, health, alarms)


def register(conf: cfg.ConfigOpts) -> None:
    """Declare the options of API, engine and management commands on *conf*; safe to repeat."""
    database.set_defaults()
    for module in _SERVER:
        module.register(conf)
    unused.register(conf, unused.SERVER_OPTS)


def register_monitors(conf: cfg.ConfigOpts) -> None:
    """Declare the options of the monitors on *conf*; safe to repeat."""
    host_drivers.register(conf)
    monitors.register(conf)
    pushes.register(conf)
    instances.register(conf)
    processes.register(conf)
    health.register_monitors(conf)
    alarms.register_monitors(conf)
    credentials.register(conf)
    secrets.register(conf)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """All server options, for oslo-config-generator (namespace masakari.conf)."""
    return [
        *(entry for module in _SERVER for entry in module.list_opts()),
        *unused.SERVER_OPTS.items(),
    ]


def list_recovery_flow_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Those that OpenStack keeps in a file of their own, as customized_recovery_flow_opts."""
    return [entry for entry in list_opts() if entry[0] == "taskflow_driver_recovery_flows"]


def list_monitor_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """All monitor options, for oslo-config-generator (namespace masakarimonitors.conf)."""
    return [
        *host_drivers.list_opts(),
        *monitors.list_opts(),
        *pushes.list_opts(),
        *instances.list_opts(),
        *processes.list_opts(),
        *health.list_monitor_opts(),
        *alarms.list_monitor_opts(),
        *secrets.list_opts(),
    ]


def set_defaults() -> None:
    """The libraries' options have our defaults, for oslo-config-generator."""
    # of the API alone
    from masakari.conf import middleware  # noqa: PLC0415

    database.set_defaults()
    middleware.set_defaults()
