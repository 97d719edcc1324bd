"""Where VMs have their disks if they do not boot from a volume."""

from oslo_config import cfg

from masakari.cloud import Cloud

LOCAL = "local"
SHARED = "shared"


def is_local(options: cfg.ConfigOpts.GroupAttr, host: str, cloud: Cloud) -> bool:
    """Whether such disks are lost with the host; *options*: the group host_failure.

    Of several aggregates that disagree about the host one that says local is believed.
    """
    by_aggregate = options.ephemeral_storage_by_aggregate
    if by_aggregate:
        kinds = {by_aggregate.get(a.name) for a in cloud.aggregates() if host in a.hosts}
        if kinds & {LOCAL, SHARED}:
            return LOCAL in kinds
    return bool(options.ephemeral_storage == LOCAL)
