"""Options of OpenStack's Masakari that are accepted and have no effect, and what replaces them."""

import contextlib
import logging
from typing import Any

from oslo_config import cfg
from oslo_config import types as oslo_types


class Unused(cfg.Opt):  # type: ignore[misc]  # oslo.config is untyped
    """An option that is accepted and has no effect; *instead* says what takes its place.

    Where it is set, that is told at *level*.  With *is_built_in* its default is what is done here
    anyway, and only another value is worth a word.
    """

    def __init__(
        self,
        name: str,
        type: Any = None,  # what converts, as cfg.Opt calls it
        *,
        instead: str,
        level: int = logging.WARNING,
        is_built_in: bool = False,
        **options: Any,  # cfg.Opt's own
    ) -> None:
        """*instead* is a sentence without its full stop."""
        self.instead = instead
        self.level = level
        self.is_built_in = is_built_in
        text = f"Accepted, without effect: {instead}."
        super().__init__(name, type or oslo_types.String(), help=text, **options)


INTEGER = oslo_types.Integer()
BOOLEAN = oslo_types.Boolean()
LIST = oslo_types.List()

MONKEY_PATCHING = "no code is patched at run time"
SWEEPS = "the engine looks for work each [engine] sweep_interval"
SESSION = "Nova is reached as nova_ca_certificates_file, nova_api_insecure, [nova] and "
SESSION += "[keystone_authtoken] say"
EXTENSIONS = "all extensions are there"
PROXY_HEADERS = "[oslo_middleware] enable_proxy_headers_parsing does this"
TLS = "the files of the API's TLS are [wsgi] ssl_cert_file, ssl_key_file and ssl_ca_file"
PACEMAKER = "the quorum of the cluster tells whether this node is cut off"
IPMI_RETRIES = "a host whose death is not proven is looked at again in each round"
PRIVILEGED = "what needs privileges is run by [process] root_command"


MONKEY_PATCH_OPTS: list[cfg.Opt] = [
    Unused("monkey_patch", BOOLEAN, default=False, instead=MONKEY_PATCHING),
]

SERVER_OPTS: dict[str, list[cfg.Opt]] = {
    "DEFAULT": [
        *MONKEY_PATCH_OPTS,
        Unused(
            "monkey_patch_modules",
            LIST,
            default=["masakari.api:masakari.cmd"],
            instead=MONKEY_PATCHING,
        ),
        Unused("enabled_apis", LIST, instead="there is one API", level=logging.DEBUG),
        Unused("use_forwarded_for", BOOLEAN, default=False, instead=PROXY_HEADERS),
        Unused(
            "notification_delay_max",
            oslo_types.Integer(min=0),
            default=5,
            instead="duplicates are detected under a lock in the database, and nothing waits; to "
            "wait before acting there is [engine] recovery_delay",
        ),
        Unused(
            "engine_manager",
            default="masakari.engine.manager.MasakariManager",
            is_built_in=True,
            instead="there is one engine",
        ),
        Unused(
            "notification_driver",
            default="taskflow_driver",
            is_built_in=True,
            instead="recoveries are always carried out by TaskFlow",
        ),
        Unused(
            "retry_notification_new_status_interval",
            INTEGER,
            default=60,
            mutable=True,
            instead=SWEEPS,
        ),
        Unused("periodic_interval_max", INTEGER, default=300, instead=SWEEPS),
        Unused("periodic_fuzzy_delay", INTEGER, default=60, instead=SWEEPS),
        Unused(
            "report_interval",
            INTEGER,
            default=10,
            instead="engines own notifications for [engine] lease",
        ),
        Unused(
            "service_down_time",
            INTEGER,
            default=60,
            instead="an engine counts as gone when its [engine] lease has ended; when a compute "
            "service is down, Nova's own service_down_time decides",
        ),
        Unused(
            "fatal_exception_format_errors",
            BOOLEAN,
            default=False,
            instead="it was an aid for tests",
        ),
        Unused("cafile", instead=SESSION),
        Unused("certfile", instead=SESSION),
        Unused("keyfile", instead=SESSION),
        Unused("insecure", BOOLEAN, default=False, instead=SESSION),
        Unused("timeout", INTEGER, instead=SESSION),
        Unused("collect_timing", BOOLEAN, default=False, instead=SESSION),
        Unused("split_loggers", BOOLEAN, default=False, instead=SESSION),
    ],
    "osapi_v1": [
        Unused("extensions_blacklist", LIST, default=[], instead=EXTENSIONS),
        Unused("extensions_whitelist", LIST, default=[], instead=EXTENSIONS),
    ],
    "wsgi": [
        Unused(
            "api_paste_config",
            default="api-paste.ini",
            level=logging.DEBUG,  # where there is such a file, a warning names its filters
            instead="the middleware is built in. Where such a file exists beside the "
            "configuration, a warning at start lists the filters in it that are not built in",
        ),
        Unused("wsgi_log_format", instead="masakari-api writes no line for each request"),
        Unused("secure_proxy_ssl_header", instead=PROXY_HEADERS),
        Unused(
            "default_pool_size",
            INTEGER,
            default=1000,
            instead="masakari_api_threads says how many requests a worker serves at a time",
        ),
    ],
    "ssl": [
        *(Unused(f"{name}_file", instead=TLS) for name in ("ca", "cert", "key")),
        Unused("version", instead=TLS),
        Unused("ciphers", instead=TLS),
    ],
    "oslo_messaging_rabbit": [
        Unused(
            "heartbeat_in_pthread",
            BOOLEAN,
            level=logging.DEBUG,  # every deployment sets it
            instead="heartbeats have a thread anyway",
        ),
    ],
    "oslo_concurrency": [
        Unused("disable_process_locking", BOOLEAN, default=False, instead="nothing is locked so"),
        Unused(
            "lock_path",
            level=logging.INFO,  # every deployment sets it
            instead="locks are where [coordination] backend_url says, or in state_path",
        ),
    ],
    "oslo_versionedobjects": [
        Unused(
            "fatal_exception_format_errors",
            BOOLEAN,
            default=False,
            instead="there are no versioned objects",
        ),
    ],
}

MONITOR_OPTS: dict[str, list[cfg.Opt]] = {
    "DEFAULT": [
        *MONKEY_PATCH_OPTS,
        Unused("monkey_patch_modules", LIST, default=[], instead=MONKEY_PATCHING),
        Unused(
            "hostmonitor_manager",
            default="masakarimonitors.hostmonitor.host.HostmonitorManager",
            is_built_in=True,
            instead="there is one host monitor",
        ),
        Unused(
            "instancemonitor_manager",
            default="masakarimonitors.instancemonitor.instance.InstancemonitorManager",
            is_built_in=True,
            instead="there is one instance monitor",
        ),
        Unused(
            "introspectiveinstancemonitor_manager",
            default="masakarimonitors.introspectiveinstancemonitor.instance."
            "IntrospectiveInstanceMonitorManager",
            is_built_in=True,
            instead="there is one monitor of guests",
        ),
        Unused(
            "processmonitor_manager",
            default="masakarimonitors.processmonitor.process.ProcessmonitorManager",
            is_built_in=True,
            instead="there is one process monitor",
        ),
    ],
    "api": [
        Unused("api_version", default="v1", is_built_in=True, instead="the API has one version"),
        Unused(
            "www_authenticate_uri",
            level=logging.DEBUG,
            instead="it is an option of [keystone_authtoken]; a monitor needs auth_url alone",
        ),
    ],
    "host": [
        Unused("ipmi_retry_max", INTEGER, default=3, instead=IPMI_RETRIES),
        Unused("ipmi_retry_interval", INTEGER, default=10, instead=IPMI_RETRIES),
        Unused("stonith_wait", INTEGER, default=30, instead=PACEMAKER),
        Unused("tcpdump_timeout", INTEGER, default=5, instead=PACEMAKER),
        Unused("corosync_multicast_interfaces", LIST, instead=PACEMAKER),
        Unused("corosync_multicast_ports", oslo_types.List(oslo_types.Port()), instead=PACEMAKER),
        Unused(
            "pacemaker_node_type",
            oslo_types.String(choices=["autodetect", "cluster", "remote"]),
            default="autodetect",
            instead=PACEMAKER,
        ),
    ],
    "masakarimonitors_privileged": [
        *(Unused(name, instead=PRIVILEGED) for name in ("user", "group", "helper_command")),
        Unused("capabilities", LIST, default=[], instead=PRIVILEGED),
    ],
}


def register(conf: cfg.ConfigOpts, groups: dict[str, list[cfg.Opt]]) -> None:
    """Declare the options of *groups* on *conf*, as far as no option of that name is there yet."""
    for group, opts in groups.items():
        for opt in opts:
            # what a library, or a program beside us in the same process, has declared stays
            with contextlib.suppress(cfg.DuplicateOptError):
                conf.register_opt(opt, group=None if group == "DEFAULT" else group)
