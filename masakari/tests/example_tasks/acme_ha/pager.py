"""A task that needs a library which is not installed here."""

import acme_pager

from masakari.engine.drivers.taskflow import base


class PagerTask(base.MasakariTask):
    """Somebody's pager rings."""

    def execute(self, host_name):
        """Ring."""
        acme_pager.ring(f"Host {host_name} has failed.")
