"""Options of the recovery engine."""

import socket

from oslo_config import cfg

DEFAULT_OPTS: list[cfg.Opt] = [
    cfg.HostAddressOpt(
        "host",
        default=socket.gethostname(),
        sample_default="<hostname>",
        help="Name of this node on the message bus and in log lines.",
    ),
    cfg.StrOpt(
        "masakari_topic",
        default="ha_engine",
        deprecated_for_removal=True,
        deprecated_reason="There is no need to change it.",
        help="Topic on the message bus on which engines listen.",
    ),
    cfg.StrOpt(
        "engine_manager",
        default="masakari.engine.manager.MasakariManager",
        help="Accepted, without effect.",
    ),
    cfg.StrOpt("notification_driver", default="taskflow_driver", help="Accepted, without effect."),
    cfg.IntOpt(
        "wait_period_after_service_update",
        default=180,
        min=0,
        help="Seconds to wait at most for Nova to report a failed host's compute service down. "
        "The engine goes on as soon as it is; if it is not, nothing is evacuated.",
    ),
    cfg.IntOpt(
        "wait_period_after_evacuation",
        default=90,
        min=1,
        help="Seconds after which a VM whose evacuation shows no progress in Nova is given up. "
        "While Nova reports the evacuation running it is waited for, up to "
        "[engine] evacuation_timeout.",
    ),
    cfg.IntOpt(
        "wait_period_after_power_off",
        default=180,
        min=1,
        help="Seconds to wait at most for a VM to stop.",
    ),
    cfg.IntOpt(
        "wait_period_after_power_on",
        default=60,
        min=1,
        help="Seconds to wait at most for a VM to start.",
    ),
    cfg.FloatOpt(
        "verify_interval",
        default=1,
        min=0.1,
        help="Seconds between two looks at Nova while waiting, at most; the engine looks more "
        "often (down to each 0.1 s) while that costs Nova little.",
    ),
    cfg.IntOpt(
        "host_failure_recovery_threads",
        default=20,
        min=1,
        max=1000,
        help="Evacuations in flight at a time for one failed host.",
    ),
    cfg.IntOpt(
        "process_unfinished_notifications_interval",
        default=120,
        min=1,
        help="Seconds after which a notification in status error is tried again.",
    ),
    cfg.IntOpt(
        "retry_notification_new_status_interval",
        default=60,
        mutable=True,
        deprecated_for_removal=True,
        deprecated_reason="[engine] sweep_interval finds new notifications.",
        help="Accepted, without effect.",
    ),
    cfg.IntOpt(
        "check_expired_notifications_interval",
        default=600,
        min=1,
        help="Seconds between two searches for notifications that are too old.",
    ),
    cfg.IntOpt(
        "notifications_expired_interval",
        default=86400,
        min=1,
        help="Age in seconds at which an unfinished notification becomes failed.",
    ),
    cfg.BoolOpt(
        "periodic_enable",
        default=True,
        help="Whether this engine looks for notifications that no message announced, for lost "
        "leases, and for errors to try again.",
    ),
    cfg.IntOpt("periodic_interval_max", default=300, help="Accepted, without effect."),
    cfg.IntOpt("periodic_fuzzy_delay", default=60, help="Accepted, without effect."),
    cfg.IntOpt("report_interval", default=10, help="Accepted, without effect."),
    cfg.IntOpt("service_down_time", default=60, help="Accepted, without effect."),
]

ENGINE_OPTS: list[cfg.Opt] = [
    cfg.FloatOpt(
        "lease",
        default=15,
        min=1,
        max=600,
        help="Seconds for which an engine owns a notification after it last said so, on the "
        "database's clock. It says so each quarter of that; if it cannot, it stops acting when "
        "two thirds have passed, and another engine continues when all has.",
    ),
    cfg.FloatOpt(
        "sweep_interval",
        default=10,
        min=0.1,
        max=600,
        help="Seconds between two searches for new notifications that no message announced and "
        "for recoveries whose engine is gone.",
    ),
    cfg.IntOpt(
        "recovery_threads",
        default=32,
        min=1,
        max=1000,
        help="Notifications that one engine works on at a time.",
    ),
    cfg.IntOpt(
        "retry_limit",
        default=2,
        min=1,
        max=100,
        help="Tries of one notification before it becomes failed.",
    ),
    cfg.IntOpt(
        "evacuation_timeout",
        default=3600,
        min=1,
        help="Seconds after which a VM is given up although Nova still reports its evacuation "
        "running. It is never evacuated a second time while that is so.",
    ),
]

HOST_FAILURE_OPTS: list[cfg.Opt] = [
    cfg.BoolOpt(
        "evacuate_all_instances",
        default=True,
        help="Whether all VMs of a failed host are evacuated, the HA-enabled ones first, or only "
        "the HA-enabled ones.",
    ),
    cfg.StrOpt(
        "ha_enabled_instance_metadata_key",
        default="HA_Enabled",
        help="Metadata key whose true value (1, t, true, on, y, yes) makes a VM HA-enabled.",
    ),
    cfg.BoolOpt(
        "ignore_instances_in_error_state",
        default=False,
        help="Whether VMs in vm_state error are left on the failed host.",
    ),
    cfg.BoolOpt(
        "add_reserved_host_to_aggregate",
        default=False,
        help="Whether a reserved host joins the failed host's aggregates. Not used yet.",
    ),
    cfg.StrOpt(
        "service_disable_reason",
        default="Masakari detected host failed.",
        help="Reason that Nova shows for the disabled compute service of a failed host.",
    ),
]

INSTANCE_FAILURE_OPTS: list[cfg.Opt] = [
    cfg.BoolOpt(
        "process_all_instances",
        default=False,
        help="Whether all failed VMs are restarted, or only HA-enabled ones. Not used yet.",
    ),
    cfg.StrOpt(
        "ha_enabled_instance_metadata_key",
        default="HA_Enabled",
        help="Metadata key whose true value makes a VM HA-enabled. Not used yet.",
    ),
]

PROCESS_FAILURE_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "service_disable_reason",
        default="Masakari detected process failed.",
        help="Reason that Nova shows for a compute service whose process failed. Not used yet.",
    ),
]

COORDINATION_OPTS: list[cfg.Opt] = [
    cfg.StrOpt("backend_url", secret=True, help="URL of a tooz backend. Not used yet."),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Declare the options on *conf*."""
    for group, opts in list_opts():
        conf.register_opts(opts, group=None if group == "DEFAULT" else group)
    # Where the monitors' options are declared too, `conf.host` is their group [host].
    conf.register_opts([opt for opt in DEFAULT_OPTS if opt.name == "host"], group="DEFAULT")


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """(group, options) pairs."""
    return [
        ("DEFAULT", DEFAULT_OPTS),
        ("engine", ENGINE_OPTS),
        ("host_failure", HOST_FAILURE_OPTS),
        ("instance_failure", INSTANCE_FAILURE_OPTS),
        ("process_failure", PROCESS_FAILURE_OPTS),
        ("coordination", COORDINATION_OPTS),
    ]
