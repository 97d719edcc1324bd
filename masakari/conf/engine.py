"""Options of the recovery engine."""

import socket

from oslo_config import cfg

from masakari.conf import types

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
        help="Seconds after which a notification in status error is tried again the first time. "
        "The pause doubles with each further try, up to [engine] retry_backoff_max.",
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
        help="Failed hosts and processes that one engine works on at a time.",
    ),
    cfg.IntOpt(
        "retry_limit",
        default=5,
        min=1,
        max=100,
        help="Tries of one notification before it becomes failed.",
    ),
    cfg.IntOpt(
        "retry_backoff_max",
        default=3600,
        min=1,
        help="Seconds between two tries of a notification at most, however many there were.",
    ),
    cfg.FloatOpt(
        "recovery_delay",
        default=0.0,
        min=0,
        help="Seconds to wait after a failure was reported before anything is done about it. A "
        "sign of life meanwhile cancels the recovery.",
    ),
    cfg.StrOpt(
        "exclusions_file",
        help="File that lists what recovery never touches: hosts, instances, projects and name "
        "patterns (YAML). Read again at SIGHUP. Without it only VMs that other services manage "
        "are left alone: the amphorae of Octavia.",
    ),
    cfg.BoolOpt(
        "observe_only",
        default=False,
        mutable=True,
        help="Whether engines only observe, in every segment: what they would do is planned and "
        "recorded, and nothing is done. What has begun before is brought to its end. The API uses "
        "it, too: what was observed is no duplicate of what is reported when it is off again.",
    ),
    cfg.IntOpt(
        "evacuation_timeout",
        default=3600,
        min=1,
        help="Seconds after which a VM is given up although Nova still reports its evacuation "
        "running. It is evacuated a second time only if the first destination is proven dead.",
    ),
]


def _recovery_delay(failure: str) -> cfg.Opt:
    return cfg.FloatOpt(
        "recovery_delay",
        min=0,
        help=f"Seconds to wait before acting on {failure}; not set: [engine] recovery_delay.",
    )


def _retry_limit(failure: str) -> cfg.Opt:
    return cfg.IntOpt(
        "retry_limit",
        min=1,
        max=100,
        help=f"Tries to recover from {failure}; not set: [engine] retry_limit.",
    )


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
        help="Whether a reserved host joins the failed host's aggregates before VMs are "
        "evacuated to it.",
    ),
    cfg.StrOpt(
        "service_disable_reason",
        default="Masakari detected host failed.",
        help="Reason that Nova shows for the disabled compute service of a failed host.",
    ),
    _recovery_delay("a failed host"),
    cfg.IntOpt(
        "witnesses_needed",
        default=1,
        min=1,
        max=60,
        help="So many monitors must have reported that a host is dead before anything is done. "
        "They are waited for as long as their reports count as one failure ([DEFAULT] "
        "duplicate_notification_detection_interval, or notification_correlation_interval if that "
        "is longer); then the notification fails, and an operator is told.",
    ),
    _retry_limit("a failed host"),
    cfg.StrOpt(
        "ephemeral_storage",
        choices=[
            ("shared", "every host reaches the disks: all VMs can be evacuated"),
            ("local", "they are lost with their host: only VMs that boot from a volume are moved"),
        ],
        sample_default="shared",
        help="Where the disks lie of VMs that do not boot from a volume. Evacuating such a VM "
        "from a host whose disks are its own rebuilds it from its image, without what its owner "
        "had stored. Not set: shared, with a warning at start.",
    ),
    cfg.Opt(
        "ephemeral_storage_by_aggregate",
        type=types.Choices(("shared", "local"), name="AGGREGATE"),
        default={},
        help="As ephemeral_storage, for the hosts of single aggregates, by their names. A host "
        "in several of them has local storage if one of them says so.",
    ),
]

INSTANCE_FAILURE_OPTS: list[cfg.Opt] = [
    cfg.IntOpt(
        "recovery_threads",
        default=20,
        min=1,
        max=1000,
        help="Failed VMs that one engine brings back at a time, beside [engine] recovery_threads.",
    ),
    cfg.BoolOpt(
        "process_all_instances",
        default=False,
        help="Whether all failed VMs are restarted, or only the HA-enabled ones.",
    ),
    cfg.StrOpt(
        "ha_enabled_instance_metadata_key",
        default="HA_Enabled",
        help="Metadata key whose true value (1, t, true, on, y, yes) makes a VM HA-enabled.",
    ),
    _recovery_delay("a failed VM"),
    _retry_limit("a failed VM"),
    cfg.IntOpt(
        "max_restarts",
        default=3,
        min=0,
        help="Restarts of one VM on its host within restart_window; what fails more often is "
        "relocated, if max_relocations allows it, or left in error.",
    ),
    cfg.IntOpt(
        "restart_window",
        default=3600,
        min=1,
        help="Seconds after which a restart or relocation of a VM is forgiven.",
    ),
    cfg.IntOpt(
        "max_relocations",
        default=0,
        min=0,
        help="Cold migrations of one VM to another host within restart_window, when restarting it "
        "where it is did not help. 0: it stays where it is.",
    ),
    cfg.IntOpt(
        "relocation_timeout",
        default=900,
        min=1,
        help="Seconds to wait at most for a VM to be on another host.",
    ),
    cfg.Opt(
        "events",
        type=types.Choices(
            ("restart", "ignore"), name="EVENT/DETAIL", form=r"[A-Z0-9_]+/[A-Z0-9_]+"
        ),
        default={},
        help="What is done about single events of VMs, where it differs from the table in the "
        "documentation, such as WATCHDOG/WATCHDOG_RESET:restart. Events of which the table knows "
        "nothing are ignored unless they are named here. The API, which takes several reports of "
        "one failure together, reads it, too.",
    ),
]

PROCESS_FAILURE_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "service_disable_reason",
        default="Masakari detected process failed.",
        help="Reason that Nova shows for a compute service that was disabled because of a failed "
        "process.",
    ),
    _recovery_delay("a failed process"),
    _retry_limit("a failed process"),
    cfg.Opt(
        "processes",
        type=types.Choices(
            ("ignore", "disable", "notify"),
            name="PROCESS",
            fixed={"nova-compute": "the host is always disabled when it fails"},
        ),
        default={},
        help="What is done when single processes fail, by their names: ignore; disable the "
        "host's compute service, so that Nova places no more VMs there; notify, which records it "
        "and says so in the log. nova-compute cannot be named: its host is always disabled.",
    ),
    cfg.StrOpt(
        "other_processes",
        default="notify",
        choices=[
            ("ignore", "nothing"),
            ("disable", "the host's compute service is disabled"),
            ("notify", "it is recorded, with a warning in the log"),
        ],
        help="What is done when a process fails that is neither nova-compute nor named in "
        "processes.",
    ),
]

COORDINATION_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "backend_url",
        secret=True,
        sample_default="file://$state_path/masakari-locks",
        help="URL of a tooz backend that holds the locks on reserved hosts. Files, the default, "
        "serve all engines of one node; engines on several nodes need etcd3+http://HOST:2379, "
        "redis://:PASSWORD@HOST:6379 or zookeeper://HOST:2181. While it does not answer, "
        "the database alone keeps two recoveries off one reserved host.",
    ),
]

RECOVERY_FLOW_OPTS: list[cfg.Opt] = [
    cfg.Opt(
        "host_auto_failure_recovery_tasks",
        type=types.RecoveryFlow(),
        default={
            "pre": ["disable_compute_service_task"],
            "main": ["prepare_HA_enabled_instances_task"],
            "post": ["evacuate_instances_task"],
        },
        help="Tasks that recover from a failed host when Nova's scheduler chooses where the VMs "
        "go: names of entry points in masakari.task_flow.tasks.",
    ),
    cfg.Opt(
        "host_rh_failure_recovery_tasks",
        type=types.RecoveryFlow(),
        default={
            "pre": ["disable_compute_service_task"],
            "main": ["prepare_HA_enabled_instances_task", "evacuate_instances_task"],
            "post": [],
        },
        help="Tasks that recover from a failed host when the VMs go to reserved hosts; main is "
        "done once for each reserved host.",
    ),
    cfg.Opt(
        "instance_failure_recovery_tasks",
        type=types.RecoveryFlow(),
        default={
            "pre": ["stop_instance_task"],
            "main": ["start_instance_task"],
            "post": ["confirm_instance_active_task"],
        },
        help="Tasks that recover from a failed VM.",
    ),
    cfg.Opt(
        "process_failure_recovery_tasks",
        type=types.RecoveryFlow(),
        default={
            "pre": ["disable_compute_node_task"],
            "main": ["confirm_compute_node_disabled_task"],
            "post": [],
        },
        help="Tasks that recover from a failed process whose host is to be disabled.",
    ),
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
        ("taskflow_driver_recovery_flows", RECOVERY_FLOW_OPTS),
    ]
