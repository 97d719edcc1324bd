"""What Nova allows our user, found out without changing anything.

In which order Nova 34 answers a request (nova/api/openstack/compute):

* The body is validated first, so that a bad one tells nothing: 400.
* Of compute services and aggregates the policy decides before they are looked up: with an id that
  nobody has 403 means refused and 404 allowed.
* A server is looked up before the policy decides, because the rule may depend on its project.  With
  an id that nobody has it is always 404, which tells nothing; with a real server a request that is
  allowed would be carried out.  Only `evacuate` looks for something else before it acts: its
  destination.  With one that does not exist 403 means refused, and 404 about the destination
  allowed.
"""

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from oslo_config import cfg

from masakari import clock as clock_
from masakari import cloud, errors, retry
from masakari.nova import auth
from masakari.nova.client import Client, errors_in_our_words
from masakari.nova.cloud import NovaCloud

NO_AGGREGATE = 2**31 - 1
"""An id that no aggregate has."""
SAMPLE = 20
"""So many servers are looked at to find one that can be asked about."""
ADMIN = "admin"
"""The role of which Nova's default policy makes an administrator."""


class Answer(StrEnum):
    """What is known of a permission."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    NO_ANSWER = "no answer"
    """Nova or Keystone did not answer."""
    UNKNOWN = "unknown"
    """Only doing it would tell."""


@dataclass(frozen=True, slots=True)
class Permission:
    """One thing that recoveries do in Nova."""

    what: str
    answer: Answer
    details: str = ""
    roles: tuple[str, ...] = ()
    """Of our token, where only they tell something."""

    @property
    def is_admins(self) -> bool:
        """Nova's default policy allows it to the roles of the token."""
        return ADMIN in self.roles


class Probe:
    """Asks Nova once per question, with the credentials of API and engine."""

    def __init__(self, conf: cfg.ConfigOpts, clock: clock_.Clock) -> None:
        """Raises ConfigInvalid."""
        self._access = auth.server_access(conf, 1)
        self._client = Client(self._access, clock, retries=0)
        self._cloud = NovaCloud(self._client)

    def microversion(self) -> str:
        """The one that is used.  Raises CloudUnavailable."""
        return ".".join(str(part) for part in self._client.microversion)

    def services(self) -> Sequence[cloud.ComputeService]:
        """The compute services.  Raises CloudUnavailable and CloudRefused."""
        return self._cloud.compute_services()

    def ask(self, what: str, ask: Callable[[], object]) -> Permission:
        """What *ask*, which raises CloudUnavailable or CloudRefused, tells about *what*."""
        try:
            ask()
        except errors.CloudUnavailable as e:
            return Permission(what, Answer.NO_ANSWER, str(e))
        except errors.CloudRefused as e:
            return Permission(what, Answer.REFUSED, _words(e))
        return Permission(what, Answer.ALLOWED)

    def lists(self) -> Iterator[Permission]:
        """Whether the whole cloud is shown to us, besides its compute services."""
        nowhere = _nowhere()
        yield self.ask("list the servers of all projects", lambda: self._cloud.servers_on(nowhere))
        yield self.ask("list evacuations", lambda: self._cloud.evacuations(nowhere))
        yield self.ask("list aggregates", self._cloud.aggregates)

    def of_services(self) -> Permission:
        """Whether compute services may be disabled and enabled."""
        path = f"/os-services/{uuid.uuid4()}"
        return self._try("disable and enable compute services", "PUT", path, {})

    def of_aggregates(self) -> Iterator[Permission]:
        """Whether hosts may be put into aggregates, and taken out."""
        path = f"/os-aggregates/{NO_AGGREGATE}/action"
        for what, name in (
            ("add hosts to aggregates", "add_host"),
            ("remove hosts from aggregates", "remove_host"),
        ):
            yield self._try(what, "POST", path, {name: {"host": _nowhere()}})

    def of_servers(self, actions: Sequence[str]) -> Iterator[Permission]:
        """Whether servers may be shown and evacuated; of *actions* only what the roles tell."""
        server = self._some_server()
        what = ("show servers", "list what was done to servers", "evacuate servers")
        if server is None:
            details = "there is no server to ask about"
            yield from (self._unknown(one, details) for one in what)
        else:
            yield self._ask_about(what[0], lambda: self._cloud.server(server))
            yield self._ask_about(what[1], lambda: self._cloud.actions(server))
            yield self._may_evacuate(what[2], server)
        reason = "Nova decides it only when it does it"
        yield from (self._unknown(action, reason) for action in actions)

    # ---- within

    def _try(self, what: str, method: str, path: str, body: object) -> Permission:
        """As `ask`, of something that is not there: 404 is a yes."""

        def ask() -> None:
            try:
                self._client.change(what, method, path, body)
            except errors.CloudNotFound:
                return

        return self.ask(what, ask)

    def _ask_about(self, what: str, ask: Callable[[], object]) -> Permission:
        """As `ask`, of a server that may be deleted meanwhile."""
        gone: list[str] = []

        def watching() -> None:
            try:
                ask()
            except errors.CloudNotFound as e:
                gone.append(_words(e))

        found = self.ask(what, watching)
        return self._unknown(what, gone[0]) if gone else found

    def _may_evacuate(self, what: str, server: str) -> Permission:
        nowhere = _nowhere()
        body = {"evacuate": {"host": nowhere}}
        try:
            self._client.change(what, "POST", f"/servers/{server}/action", body)
        except errors.CloudUnavailable as e:
            return Permission(what, Answer.NO_ANSWER, str(e))
        except errors.CloudForbidden as e:
            return Permission(what, Answer.REFUSED, _words(e))
        except errors.CloudRefused as e:
            if nowhere in str(e):
                return Permission(what, Answer.ALLOWED)
            return self._unknown(what, _words(e))
        return self._unknown(what, f"Nova has accepted {nowhere} as a destination")

    def _unknown(self, what: str, details: str) -> Permission:
        return Permission(what, Answer.UNKNOWN, details, self._roles())

    def _roles(self) -> tuple[str, ...]:
        """Of our token; none if Keystone does not answer."""
        try:
            with errors_in_our_words(self._access):
                return tuple(auth.identity(self._access).role_names)
        except (errors.MasakariError, retry.Transient, AttributeError):
            return ()

    def _some_server(self) -> str | None:
        """A server whose host is up, so that Nova would not evacuate it anyway; or None."""
        try:
            up = {s.host for s in self.services() if not s.is_down}
            query = f"/servers/detail?all_tenants=1&limit={SAMPLE}"
        except errors.MasakariError:
            up, query = None, f"/servers/detail?limit={SAMPLE}"
        try:
            rows = self._client.get("list servers", query, lambda d: list(d["servers"]))
        except errors.MasakariError:
            return None
        fit = (r["id"] for r in rows if up is None or r.get("OS-EXT-SRV-ATTR:host") in up)
        return next(fit, None)


def _words(refused: errors.CloudRefused) -> str:
    """What Nova says; our own sentence would repeat what was asked."""
    return f"{str(refused.details['detail']).rstrip('.')} (HTTP {refused.details['code']})"


def _nowhere() -> str:
    """The name of a host that is not there."""
    return f"masakari-check-{uuid.uuid4()}"
