"""Masakari as the monitors know it: what it watches, and whether it has heard a notification.

`connect` gives the real one, through openstacksdk with the credentials of [api]; where that group
has none, with those of [keystone_authtoken], so that a configuration file that serves the API as
well names them once.  It works with OpenStack's API too, which says in words only why it refuses.
"""

import dataclasses
import re
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

import openstack.connection
import requests
import urllib3.exceptions
from keystoneauth1 import exceptions as ks_exceptions
from keystoneauth1 import noauth
from openstack import exceptions as sdk_exceptions
from oslo_config import cfg

from masakari import contacts, errors
from masakari.nova import auth, client
from masakari.states import Reason

T = TypeVar("T")

PAGE = 500
_NO_DISCOVERY = re.compile(r"version discovery document at (\S+),")
REASON_HEADER = "X-Masakari-Reason"
MONITOR_HEADER = "X-Masakari-Monitor"
PROOFS = "1.4"
"""The first microversion in which the report of a host can have a proof; OpenStack's end before."""
NEVER_SENT = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.SSLError,
)

FAILURES = (sdk_exceptions.SDKException, ks_exceptions.ClientException)
MALFORMED = (ValueError, LookupError, TypeError, AttributeError)
"""What openstacksdk raises over an answer that is not JSON, or of another shape.

Each request may ask Keystone for a new token, whose answer may be such a one.
"""

Notification = Mapping[str, object]
"""The object in the body of POST /notifications: type, hostname, generated_time, payload."""


class Unanswered(errors.MasakariError):
    """Nobody knows that Masakari has heard the request: it is not, or not yet, to be forgotten."""

    template = "{detail}"

    def __init__(self, detail: str, *, maybe_heard: bool = True) -> None:
        super().__init__(detail=detail)
        self.maybe_heard = maybe_heard
        """False: it was certainly not heard."""


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What the API said to a notification."""

    status: int
    """Of HTTP."""
    reason: str | None = None
    """A states.Reason, when it refused."""
    message: str = ""

    @property
    def refusal(self) -> str:
        """Why it was refused, as exactly as the API said."""
        return self.reason or self.message or f"status {self.status}"

    def __str__(self) -> str:
        return " ".join(filter(None, [str(self.status), self.reason, self.message]))


class Masakari(Protocol):
    """What a monitor asks of the Masakari API."""

    def watched(self) -> list[str]:
        """Names of the hosts in enabled segments.  Raises Unanswered."""

    def notify(self, notification: Notification) -> Answer:
        """The API's answer to the notification.  Raises Unanswered."""


class Noted:
    """A Masakari whose answers are noted; for as many threads as that."""

    def __init__(self, masakari: Masakari, known: contacts.Contacts) -> None:
        self._masakari = masakari
        self._contacts = known

    def watched(self) -> list[str]:
        """As Masakari."""
        return self._note(self._masakari.watched)

    def notify(self, notification: Notification) -> Answer:
        """As Masakari."""
        return self._note(lambda: self._masakari.notify(notification))

    def _note(self, ask: Callable[[], T]) -> T:
        try:
            answer = ask()
        except Unanswered as error:
            self._contacts.failed(contacts.MASAKARI, str(error))
            raise
        self._contacts.answered(contacts.MASAKARI)
        return answer


def connect(conf: cfg.ConfigOpts, *, endpoint: str | None = None) -> Masakari:
    """The Masakari API that [api] describes; nothing is sent yet.

    *endpoint* is the URL of this process's own API, whose options *conf* has too: it is used
    instead, without a token where the API wants none.  Raises ConfigInvalid.
    """
    open_to_all = endpoint is not None and conf.auth_strategy == "noauth2"
    access = auth.monitor_access(conf, noauth.NoAuth() if open_to_all else None)
    plugin = access.session.auth
    endpoint = endpoint or conf.api.endpoint_override or getattr(plugin, "endpoint", None)
    if isinstance(plugin, noauth.NoAuth) and not endpoint:
        raise errors.ConfigInvalid(
            group="api",
            option="endpoint_override",
            problem="is needed with auth_type = none, which knows no service catalogue",
        )
    name = f"{getattr(conf, 'prog', None) or 'monitor'} on {conf.hostname}"
    return SdkMasakari(access, endpoint, name)


class SdkMasakari:
    """The Masakari API through openstacksdk; for many threads.

    The connection is made when it is needed first, and anew after an error: its service catalogue
    and its token may be out of date then.  Who needs it meanwhile waits, under one lock.
    """

    def __init__(self, access: auth.Access, endpoint: str | None, name: str) -> None:
        """*name* is what the monitor calls itself."""
        self._headers = {MONITOR_HEADER: name}
        self._session = access.session
        self._auth_url = access.auth_url
        self._config: dict[str, Any] = {  # Any: as openstacksdk wants it
            "region_name": access.region,
            "interface": access.interface,
            "instance_ha_api_version": "1",
        }
        if endpoint:
            self._config["instance_ha_endpoint_override"] = _versioned(endpoint)
        self._lock = threading.Lock()
        self._proxy: Any = None  # openstack's proxy objects are not typed

    def watched(self) -> list[str]:
        """Names of the hosts in enabled segments, read page by page."""
        api = self._api()
        try:
            return list(_watched(api))
        except (*FAILURES, *MALFORMED) as error:
            self._forget(api)
            raise Unanswered(self._sentence(error)) from error

    def notify(self, notification: Notification) -> Answer:
        """The API's answer to the notification."""
        api = self._api()
        unproven = _without_proof(notification)
        try:
            response = None
            if unproven != notification:
                response = self._post(api, notification, PROOFS)
            if response is None or response.status_code == requests.codes.not_acceptable:
                response = self._post(api, unproven)
        except (*FAILURES, *MALFORMED) as error:
            self._forget(api)
            raise Unanswered(
                self._sentence(error), maybe_heard=not _was_never_sent(error)
            ) from error
        if response.status_code not in (202, 400, 409):
            self._forget(api)
        return _answer(response)

    def _post(
        self, api: Any, notification: Notification, version: str | None = None
    ) -> requests.Response:
        """The answer; *version* is a microversion, None the oldest."""
        body = {"notification": dict(notification)}
        answer: requests.Response = api.post(
            "/notifications", json=body, headers=self._headers, microversion=version
        )
        return answer

    def _api(self) -> Any:
        """The proxy of the service, once Keystone has given a token."""
        with self._lock:
            if self._proxy is None:
                self._proxy = self._connected()
            return self._proxy

    def _connected(self) -> Any:
        try:
            self._session.invalidate()
            self._session.get_auth_headers()
            connection = openstack.connection.Connection(session=self._session, **self._config)
            proxy = connection.instance_ha
            proxy.get_endpoint()
        except (*FAILURES, *MALFORMED) as error:
            raise Unanswered(self._sentence(error), maybe_heard=False) from error
        return proxy

    def _forget(self, proxy: Any) -> None:
        """It has failed; whoever has a newer one keeps that."""
        with self._lock:
            if self._proxy is proxy:
                self._proxy = None

    def _sentence(self, error: Exception) -> str:
        """What went wrong, on one line."""
        if not isinstance(error, FAILURES):
            return f"an answer is not as Masakari's or Keystone's are ({type(error).__name__})"
        away = client.who_is_away(error, self._auth_url, "Masakari") or self._undiscovered(error)
        return away or " ".join(str(error).split()) or type(error).__name__

    def _undiscovered(self, error: Exception) -> str | None:
        """The SDK does not say what went wrong with the discovery: it is found out again."""
        found = _NO_DISCOVERY.search(str(error))
        if found is None:
            return None
        try:
            self._session.get(found[1], authenticated=False, redirect=False)
        except ks_exceptions.ClientException as again:
            return client.who_is_away(again, self._auth_url, "Masakari")
        return None


def _versioned(endpoint: str) -> str:
    """The endpoint's URL with the API's version, which requests are appended to."""
    path = urllib.parse.urlsplit(endpoint).path.split("/")
    return endpoint.rstrip("/") + ("" if "v1" in path else "/v1")


def _watched(api: Any) -> Iterator[str]:
    # `enabled` is not sent as a filter: OpenStack's API compares it wrongly.
    for segment in api.segments(limit=PAGE):
        if segment.is_enabled is not False:
            for host in api.hosts(segment.uuid, limit=PAGE):
                if not isinstance(host.name, str):
                    raise TypeError("a host without a name")
                yield host.name


def _answer(response: requests.Response) -> Answer:
    """The API's answer, its reason taken from the header, else from the message."""
    if response.status_code < 400:
        return Answer(response.status_code)
    try:
        message = str(next(iter(response.json().values()))["message"])
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration):
        message = response.text[:200]
    reason = response.headers.get(REASON_HEADER)
    if reason is None and response.status_code == 409:
        text = message.lower()
        reason = next((r for r in (Reason.MAINTENANCE, Reason.DUPLICATE) if r in text), None)
    return Answer(response.status_code, reason, message)


def _without_proof(notification: Notification) -> Notification:
    """As APIs know it that do not have the microversion PROOFS."""
    payload = notification.get("payload")
    if not isinstance(payload, Mapping):
        return notification
    known = {name: value for name, value in payload.items() if name != "proof"}
    return {**notification, "payload": known}


def _was_never_sent(error: BaseException | None) -> bool:
    """Whether the request failed before it left: there was no connection."""
    while error is not None:
        if isinstance(error, NEVER_SENT):
            return True
        error = error.__cause__ or error.__context__
    return False
