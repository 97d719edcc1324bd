"""Nova for those who only observe: they look, and whatever they try to change is refused."""

import datetime
from collections.abc import Callable, Sequence

from masakari import cloud
from masakari.cloud import Cloud


class WriteRefused(Exception):
    """Something that only observes was about to change Nova: a defect, and nothing was changed."""


def _refusing(verb: str) -> Callable[..., None]:
    def refuse(*_arguments: object, **_keywords: object) -> None:
        raise WriteRefused(f"observe-only, and Nova was to be asked to {verb}")

    return refuse


class ReadOnly:
    """A cloud.Cloud that changes nothing; changes raise WriteRefused."""

    def __init__(self, nova: Cloud) -> None:
        """Look with *nova*."""
        self._nova = nova

    @property
    def user_id(self) -> str | None:
        """As Cloud."""
        return self._nova.user_id

    @property
    def confirms_by_migrations(self) -> bool:
        """As Cloud."""
        return self._nova.confirms_by_migrations

    def compute_services(self, host: str | None = None) -> Sequence[cloud.ComputeService]:
        """As Cloud."""
        return self._nova.compute_services(host)

    def servers_on(self, host: str) -> Sequence[cloud.Server]:
        """As Cloud."""
        return self._nova.servers_on(host)

    def server(self, server_id: str) -> cloud.Server:
        """As Cloud."""
        return self._nova.server(server_id)

    def has_unconfirmed_move(self, server_id: str) -> bool:
        """As Cloud."""
        return self._nova.has_unconfirmed_move(server_id)

    def actions(self, server_id: str) -> Sequence[cloud.Action]:
        """As Cloud."""
        return self._nova.actions(server_id)

    def evacuations(
        self, source: str, since: datetime.datetime | None = None
    ) -> Sequence[cloud.Migration]:
        """As Cloud."""
        return self._nova.evacuations(source, since)

    def aggregates(self) -> Sequence[cloud.Aggregate]:
        """As Cloud."""
        return self._nova.aggregates()

    disable_service = _refusing("disable a compute service")
    enable_service = _refusing("enable a compute service")
    lock = _refusing("lock a VM")
    unlock = _refusing("unlock a VM")
    reset_state = _refusing("reset the state of a VM")
    stop = _refusing("stop a VM")
    start = _refusing("start a VM")
    reboot = _refusing("reboot a VM")
    migrate = _refusing("migrate a VM")
    confirm_resize = _refusing("confirm the move of a VM")
    evacuate = _refusing("evacuate a VM")
    add_to_aggregate = _refusing("add a host to an aggregate")
    remove_from_aggregate = _refusing("remove a host from an aggregate")
