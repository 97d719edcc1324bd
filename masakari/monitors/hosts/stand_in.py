"""The drivers of OpenStack's host monitor that are not here yet: Nova is asked in their place."""

import logging

from oslo_config import cfg

from masakari import clock as clock_
from masakari import cloud as cloud_
from masakari.monitors import core, watchlist
from masakari.monitors.hosts import second_opinion as opinion_
from masakari.monitors.hosts.nova import NovaProbe

LOG = logging.getLogger(__name__)


class StandIn:
    """Makes the probe of the driver nova, and says so."""

    @staticmethod
    def from_conf(
        conf: cfg.ConfigOpts,
        hosts: watchlist.Watchlist,
        clock: clock_.Clock,
        *,
        cloud: cloud_.Cloud | None = None,
        second_opinion: opinion_.SecondOpinion | None = None,
    ) -> core.Probe:
        """The probe of the driver nova.  Raises ConfigInvalid."""
        LOG.warning(
            "[host] monitoring_driver: %s is not here yet; nova stands in for it, which asks Nova "
            "about the compute services and each host itself: set it to nova to agree",
            conf.host.monitoring_driver,
        )
        return NovaProbe.from_conf(conf, hosts, clock, cloud=cloud, second_opinion=second_opinion)
