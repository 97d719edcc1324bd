"""Requests to Nova: one shared session, one microversion, retries, pages, and errors in our words.

openstacksdk gives the adapter (session, catalogue, discovery); bodies stay plain JSON, because its
resource objects cost a hundred times as much.
"""

import contextlib
import datetime
import email.utils
import logging
import re
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import requests
import urllib3.exceptions
from keystoneauth1 import exceptions as ks_exceptions

from masakari import causes as causes_
from masakari import clock as clock_
from masakari import cloud, contacts, context, errors, metrics, retry
from masakari.metrics import UNMETERED, Meter
from masakari.nova.auth import NOWHERE, Access
from masakari.outage import Outage

LOG = logging.getLogger(__name__)

Json = Any  # Any: documents are what json makes of them
Version = tuple[int, int]
T = TypeVar("T")

LOWEST: Version = (2, 53)
"""Services are named by uuid from here on."""
HIGHEST: Version = (2, 94)
"""Later ones leave evacuated servers stopped."""
TIMED_OUT = (requests.Timeout, TimeoutError)
NEVER_SENT = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)


REQUEST_ID = "X-OpenStack-Request-ID"
REFUSED = "it refuses our credentials (HTTP 401)"
"""Of Keystone."""
_ID = re.compile(r"/(?:[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{32}|\d+)(?=/|$)")


class Client:
    """Nova's compute API for many threads; the lock guards what is found out once."""

    def __init__(
        self,
        access: Access,
        clock: clock_.Clock,
        retries: int,
        meter: Meter = UNMETERED,
        known: contacts.Contacts | None = None,
        *,
        outages: Mapping[str, Outage] | None = None,
    ) -> None:
        """*outages* are told how requests went: {"Keystone": …, "Nova": …}."""
        self._access = access
        self._meter = meter
        self._forbidden: set[str] = set()
        """Calls that were last refused."""
        self._contacts = known or contacts.Contacts(clock)
        self._outages = outages or {}
        self.clock = clock
        self._retries = retries
        self._lock = threading.Lock()
        self._adapter: Any = None  # openstack's proxies are untyped
        self._version: Version | None = None

    @property
    def microversion(self) -> Version:
        """The highest that Nova offers, within LOWEST and HIGHEST.  Raises CloudUnavailable."""
        return self._persist(lambda: self._ready()[1])

    @property
    def user_id(self) -> str | None:
        """Of our token.  Raises CloudUnavailable."""

        def attempt() -> tuple[str | None]:
            with errors_in_our_words(self._access):
                return (self._access.session.get_user_id(),)

        return self._persist(attempt)[0]

    def get(self, action: str, path: str, read: Callable[[Json], T]) -> T:
        """What *read* makes of the document at *path*; *action* completes "Nova refused to …".

        A document of another shape is no usable answer, and asked for again.
        """

        def attempt() -> T:
            document = self._request(action, "GET", path)
            try:
                return read(document)
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                raise retry.Transient(
                    f"the answer to {path} is not understood ({error!r})"
                ) from error

        return self._persist(attempt)

    def pages(
        self, action: str, path: str, key: str, read: Callable[[Json], T], marker: str
    ) -> Iterator[T]:
        """What *read* makes of each row of the list at *path*; rows have their marker there."""
        following: str | None = path
        while following:
            rows, last = self.get(action, following, lambda d: _page(d, key, read, marker))
            yield from rows
            following = (
                None if last is None else f"{path}{'&' if '?' in path else '?'}marker={last}"
            )

    def change(
        self,
        action: str,
        method: str,
        path: str,
        body: Json,
        *,
        done: Callable[[], bool] = lambda: False,
        leave: cloud.Leave = cloud.freely,
    ) -> None:
        """Nova has accepted the request, or *done* says that a lost one was carried out.

        *leave* is asked before each attempt.
        *done* is asked after an attempt whose fate is unknown (no answer, 5xx) before it is
        repeated; and when a repetition is refused, because then the first may be the reason.
        """
        lost = False

        def attempt() -> bool:
            nonlocal lost
            leave()
            try:
                self._request(action, method, path, body)
            except retry.Transient as error:
                lost = lost or error.fate_unknown
                raise
            except errors.CloudRefused:
                if not (lost and done()):
                    raise
            return True

        self._persist(attempt, lambda: True if done() else None)

    # ---- one attempt

    def _persist(
        self, attempt: Callable[[], T], settled: Callable[[], T | None] = lambda: None
    ) -> T:
        def told() -> T:
            asked_at = self.clock.monotonic()
            try:
                result = attempt()
            except retry.Transient as error:
                self._gone(error.service, error.detail, is_final=False)
                raise
            except errors.CloudUnavailable as error:
                self._gone(str(error.details["service"]), str(error.details["detail"]))
                raise
            except errors.CloudRefused:
                self._here(asked_at)
                raise
            self._here(asked_at)
            return result

        try:
            return retry.persist(self.clock, self._retries, told, settled)
        except retry.Transient as error:
            self._gone(error.service, error.detail)
            raise errors.CloudUnavailable(service=error.service, detail=error.detail) from error
        except clock_.Interrupted as error:
            raise errors.CloudUnavailable(
                service="Nova", detail="not asked again, as this program is ending"
            ) from error

    def _gone(self, service: str, detail: str, *, is_final: bool = True) -> None:
        if service in self._outages:
            self._outages[service].failed(detail, is_final=is_final)

    def _here(self, asked_at: float) -> None:
        for outage in self._outages.values():  # Nova took a token, which Keystone has given
            outage.answered(asked_at)

    def _request(self, action: str, method: str, path: str, body: Json = None) -> Json:
        """Nova's document.  Raises Transient, CloudRefused and CloudUnavailable."""
        call = _call(method, path, body)
        began = self.clock.monotonic()
        try:
            adapter, version = self._ready()
            with errors_in_our_words(self._access):
                response = adapter.request(
                    path,
                    method,
                    json=body,
                    microversion=_text(version),
                    raise_exc=False,
                    headers=_on_behalf(),
                )
        except (retry.Transient, errors.CloudUnavailable) as error:
            self._meter.count(metrics.NOVA_ERRORS, call, "unanswered")
            self._note(error)
            raise
        self._meter.observe(metrics.NOVA_REQUESTS, self.clock.monotonic() - began, call)
        self._contacts.answered(contacts.KEYSTONE)
        if response.status_code >= 400:
            self._meter.count(metrics.NOVA_ERRORS, call, f"{response.status_code // 100}xx")
        self._note_answer(method, call, response.status_code)
        LOG.debug(
            "%s %s: %d in %.0f ms (%s)",
            method,
            path,
            response.status_code,
            (self.clock.monotonic() - began) * 1000,
            response.headers.get("x-openstack-request-id", "no request id"),
        )
        if response.status_code < 400:
            return _document(response, path)
        self._fail(action, response)
        raise AssertionError("unreachable")

    def _note_answer(self, method: str, call: str, status: int) -> None:
        """Nova has answered; what it does not let us read it does not let us know."""
        with self._lock:
            # other calls are refused for other reasons, too, such as quotas
            if status == 401 or (status == 403 and method == "GET"):
                self._forbidden.add(call)
            else:
                self._forbidden.discard(call)
            forbidden = sorted(self._forbidden)
        if forbidden:
            problem = f"it refuses our user: {', '.join(forbidden)}"
            self._contacts.failed(contacts.NOVA, problem, is_refused=True)
        elif status >= 500:
            self._contacts.failed(contacts.NOVA, f"HTTP {status}")
        else:
            self._contacts.answered(contacts.NOVA)

    def _note(self, error: retry.Transient | errors.CloudUnavailable) -> None:
        """Who did not answer, or does not accept who we are."""
        if isinstance(error, retry.Transient):
            self._contacts.failed(contacts.NOVA, error.detail)
            return
        who, problem = str(error.details["service"]), str(error.details["detail"])
        self._contacts.failed(who, problem, is_refused=problem == REFUSED)

    def _fail(self, action: str, response: requests.Response) -> None:
        """Raise what an answer of 400 or more means."""
        code, message = response.status_code, _message(response)
        if code == 429 or code >= 500:
            raise retry.Transient(
                f"HTTP {code}: {message}", pause_s=retry_after(response), fate_unknown=code != 429
            )
        if code in (401, 406):
            # Our token, or the microversion that it offered at first: not the caller's fault.
            raise errors.CloudUnavailable(service="Nova", detail=f"HTTP {code}: {message}")
        raise cloud.refusal(action, code, message)

    def _ready(self) -> tuple[Any, Version]:
        """The adapter and the microversion, found out by the first who needs them."""
        adapter, version = self._adapter, self._version
        if adapter is not None and version is not None:
            return adapter, version
        with self._lock, errors_in_our_words(self._access):
            if self._adapter is None:
                self._adapter = _adapter(self._access)
            if self._version is None:
                self._version = _negotiate(self._adapter)
                LOG.info("Nova: microversion %s is used", _text(self._version))
            return self._adapter, self._version


def _on_behalf() -> dict[str, str]:
    """Nova's log has the id of the request that has asked for this one, too."""
    request_id = context.current_request_id()
    return {} if request_id is None else {REQUEST_ID: request_id}


def _call(method: str, path: str, body: Json) -> str:
    """What is asked for, without names and ids: an action by its name, else method and path."""
    template = _ID.sub("/{id}", path.partition("?")[0])
    if template == "/servers/{id}/action" and isinstance(body, dict) and len(body) == 1:
        return str(next(iter(body)))
    if template.startswith("/servers/") and template not in ("/servers/detail",):
        tail = template.split("/")[3:]
        template = "/".join(["/servers/{id}", *tail])
    return f"{method} {template}"


def _page(
    document: Json, key: str, read: Callable[[Json], T], marker: str
) -> tuple[list[T], str | None]:
    """(rows, marker of the last one, if more follow)."""
    rows = document[key]
    found = [read(row) for row in rows]
    follows = any(link.get("rel") == "next" for link in document.get(f"{key}_links", ()))
    return found, str(rows[-1][marker]) if rows and follows else None


def _adapter(access: Access) -> Any:
    """The SDK's session for Nova.  Raises what errors_in_our_words translates."""
    # Not at the top: it takes 11 MiB, and a process of the API that registers no host never asks.
    from openstack import connection, exceptions  # noqa: PLC0415

    try:
        return connection.Connection(
            session=access.session,
            region_name=access.region,
            interface=access.interface,
            compute_api_version="2",
            compute_service_type=access.service_type,
            app_name="masakari",
            strict_proxies=True,
        ).compute
    except exceptions.SDKException as error:
        _ask(access)  # the SDK does not say what went wrong with the discovery
        raise ks_exceptions.ClientException(str(error)) from error


def _ask(access: Access) -> None:
    """Nova's endpoint answers something.  Raises what errors_in_our_words translates."""
    url = access.session.get_endpoint(
        service_type=access.service_type, interface=access.interface, region_name=access.region
    )
    if url is not None:
        access.session.get(url, authenticated=False, redirect=False)


def _negotiate(adapter: Any) -> Version:
    """The microversion to use.  Raises CloudUnavailable where there is none."""
    data = adapter.get_endpoint_data()
    offered = data.max_microversion if data else None
    lowest = data.min_microversion if data else None
    if not offered or tuple(offered) < LOWEST or tuple(lowest or LOWEST) > HIGHEST:
        raise errors.CloudUnavailable(
            service="Nova",
            detail=f"it offers microversions {_text(lowest)} to {_text(offered)}, "
            f"one from {_text(LOWEST)} to {_text(HIGHEST)} is needed",
        )
    return min((int(offered[0]), int(offered[1])), HIGHEST)


@contextlib.contextmanager
def errors_in_our_words(access: Access) -> Iterator[None]:
    """What keystoneauth raises becomes Transient or CloudUnavailable."""
    try:
        yield
    except ks_exceptions.ClientException as error:
        raise _translate(error, access.auth_url, access.where) from error


def explain(error: Exception) -> str:
    """What an error of keystoneauth means, in a few words."""
    translated = _translate(error, NOWHERE, "")
    if isinstance(translated, retry.Transient):
        return translated.detail
    return str(translated.details["detail"])


def _translate(
    error: BaseException, auth_url: str, where: str
) -> retry.Transient | errors.CloudUnavailable:
    causes = list(causes_.chain(error))
    text = " ".join(str(error).split())[: cloud.MESSAGE_LIMIT]
    for cause in causes:
        if isinstance(cause, ks_exceptions.Unauthorized):
            return errors.CloudUnavailable(service="Keystone", detail=REFUSED)
        if isinstance(cause, ks_exceptions.HttpError):
            detail = f"HTTP {cause.http_status}: {text}"
            if cause.http_status == 429 or cause.http_status >= 500:
                return retry.Transient(detail, fate_unknown=False, service="Keystone")
            return errors.CloudUnavailable(service="Keystone", detail=detail)
        if isinstance(cause, ks_exceptions.EndpointNotFound):
            return errors.CloudUnavailable(
                service="Nova",
                detail=f"the catalogue has no such endpoint ({where}): {text}",
            )
    LOG.debug("%s: %s", type(error).__name__, error)
    url = _requested(causes)
    certificate = causes_.refused_certificate(error)
    never_sent = certificate is not None or any(isinstance(cause, NEVER_SENT) for cause in causes)
    detail = _trouble(error, url) if url else text or type(error).__name__
    service = "Keystone" if url and url.startswith(auth_url) else "Nova"
    return retry.Transient(detail, fate_unknown=not never_sent, service=service)


def who_is_away(error: BaseException, auth_url: str, service: str) -> str | None:
    """A sentence, if a request to Keystone (*auth_url*), or else to *service*, had no answer."""
    url = _requested(list(causes_.chain(error)))
    if url is None:
        return None
    who = "Keystone" if url.startswith(auth_url) else service
    return f"{who} is not available: {_trouble(error, url)}"


def _trouble(error: BaseException, url: str) -> str:
    """What went wrong on the way to *url*."""
    causes = list(causes_.chain(error))
    certificate = causes_.refused_certificate(error)
    if certificate is not None:
        return f"the certificate of {_origin(url)} is refused ({certificate})"
    never_sent = any(isinstance(cause, NEVER_SENT) for cause in causes)
    what = "no connection to" if never_sent else "no answer from"
    return f"{what} {_origin(url)} ({_network_error(causes)})"


def _requested(causes: Sequence[BaseException]) -> str | None:
    """The URL that was asked for when the network failed; None: something else went wrong."""
    for cause in causes:
        if isinstance(cause, requests.RequestException) and cause.request and cause.request.url:
            return cause.request.url
    return None


def _origin(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _network_error(causes: Sequence[BaseException]) -> str:
    for cause in causes:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    timed_out = any(isinstance(cause, TIMED_OUT) for cause in causes)
    return "timed out" if timed_out else "closed by the other side"


def _document(response: requests.Response, path: str) -> Json:
    if not response.content:
        return None
    try:
        return response.json()
    except ValueError:
        raise retry.Transient(f"the answer to {path} is not JSON") from None


def _message(response: requests.Response) -> str:
    """What Nova says, from {"badRequest": {"message": …}} or whatever came instead."""
    try:
        message = str(next(iter(response.json().values()))["message"])
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration):
        message = response.text
    return " ".join(message.split())[: cloud.MESSAGE_LIMIT] or str(response.reason)


def retry_after(response: requests.Response) -> float | None:
    """Seconds that Nova asks us to wait: a number, or a date."""
    value = response.headers.get("Retry-After", "").strip()
    with contextlib.suppress(ValueError):
        return max(0.0, float(value))
    with contextlib.suppress(ValueError, TypeError):
        until = email.utils.parsedate_to_datetime(value)
        sent = email.utils.parsedate_to_datetime(response.headers.get("Date", ""))
        return max(0.0, (until - sent) / datetime.timedelta(seconds=1))
    return None


def _text(version: Any) -> str:
    return ".".join(str(part) for part in version) if version else "none"
