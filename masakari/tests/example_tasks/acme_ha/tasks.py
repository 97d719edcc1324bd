"""Tasks that tell ACME's operators of failures, and one that has a say in the recovery."""

from oslo_config import cfg

from masakari import errors
from masakari.engine.drivers.taskflow import base

CONF = cfg.CONF  # noqa: TID251  the program's; a package of its own has no other way to it
CONF.register_opts(
    [cfg.IntOpt("most_vms", default=500, help="VMs that a failed host may have.")], group="acme"
)


class TellHostTask(base.MasakariTask):
    """The operators know which host has failed, and how many VMs it had."""

    default_provides = "vm_count"

    def execute(self, host_name, notification_uuid):
        """Look, tell; the number of VMs is for tasks that follow."""
        self.update_details(f"Counting the VMs of host {host_name}.")
        count = len(self.novaclient.servers_on(host_name))
        self.update_details(
            f"Host {host_name} has failed with {count} VMs: notification {notification_uuid}, "
            f"request {self.context.request_id}.",
            1.0,
        )
        return count


class LimitTask(base.MasakariTask):
    """A host with more VMs than `[acme] most_vms` is not recovered by itself."""

    def execute(self, host_name, vm_count):
        """Take the number from the task before."""
        if vm_count > CONF.acme.most_vms:
            raise errors.RecoveryError(
                f"Host {host_name} has {vm_count} VMs, ACME allows {CONF.acme.most_vms}."
            )
        self.update_details(f"{vm_count} VMs are few enough.", 1.0)


class TellReservedHostTask(base.MasakariTask):
    """The operators know which reserved host is to take the VMs."""

    def execute(self, host_name, reserved_host, reserved_host_list):
        """Tell."""
        self.update_details(
            f"Reserved host {reserved_host}, of {', '.join(reserved_host_list)}, is to take the "
            f"VMs of host {host_name}.",
            1.0,
        )


class TellVmTask(base.MasakariTask):
    """The operators know which VM has failed."""

    def execute(self, instance_uuid, notification_uuid):
        """Look, tell."""
        server = self.novaclient.server(instance_uuid)
        self.update_details(f"VM {server.name} has failed: {notification_uuid}.", 1.0)


class TellProcessTask(base.MasakariTask):
    """The operators know which process has failed."""

    def execute(self, process_name, host_name, notification_uuid):
        """Tell."""
        self.update_details(
            f"Process {process_name} on host {host_name} has failed: {notification_uuid}.", 1.0
        )
