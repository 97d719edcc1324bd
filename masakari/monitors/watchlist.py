"""Which hosts are watched: those registered in enabled segments."""

import logging

from masakari.monitors import core, report

LOG = logging.getLogger(__name__)


class Watchlist:
    """The registered hosts; while the API does not answer, those that it named last."""

    def __init__(self, masakari: report.Masakari) -> None:
        self._masakari = masakari
        self._hosts: frozenset[str] | None = None
        self._stale = False

    def read(self) -> frozenset[str]:
        """Names of the hosts to watch.  Raises Blind when the API never named any."""
        try:
            hosts = frozenset(self._masakari.watched())
        except report.Unanswered as error:
            return self._last(error)
        if self._stale:
            LOG.info("the list of hosts could be read again")
        self._stale = False
        self._hosts = hosts
        return hosts

    def _last(self, error: report.Unanswered) -> frozenset[str]:
        if self._hosts is None:
            raise core.Blind(f"the Masakari API has not said which hosts to watch ({error})")
        if not self._stale:
            LOG.warning(
                "the list of hosts cannot be read (%s); the %d hosts known so far are watched",
                error,
                len(self._hosts),
            )
        self._stale = True
        return self._hosts
