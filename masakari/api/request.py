"""A request as the handlers see it: who asks, at which version, for which part of a list."""

import functools
from dataclasses import dataclass
from typing import Protocol
from urllib import parse

import webob
import webob.exc
from oslo_config import cfg
from webob.compat import parse_qsl_text
from webob.multidict import MultiDict

from masakari import cloud, context, errors, rpc
from masakari.api import fields, jsontext, versions
from masakari.api.versions import Version
from masakari.db import query, session, steps
from masakari.events import SILENCE, Events

MEDIA_TYPES = ("application/json", "application/vnd.openstack.masakari+json")
_TOLERATED = (*MEDIA_TYPES, "text/plain", "")


class Rules(Protocol):
    """What handlers ask of the policy."""

    def allows(self, rule: str, ctx: context.RequestContext) -> bool:
        """Whether *rule* holds for the request."""

    def authorize(self, rule: str, ctx: context.RequestContext) -> None:
        """Raise Forbidden unless *rule* holds."""


@dataclass(frozen=True, slots=True)
class World:
    """What the operations act upon."""

    conf: cfg.ConfigOpts
    database: session.Database
    progress: steps.Store
    cloud: cloud.Cloud
    engine: rpc.Engine
    policy: Rules
    events: Events = SILENCE


class Request:
    """One HTTP request."""

    def __init__(
        self, http: webob.Request, world: World, ctx: context.RequestContext, version: Version
    ) -> None:
        self.http = http
        self.world = world
        self.ctx = ctx
        self.version = version

    @property
    def database(self) -> session.Database:
        """Where the rows are."""
        return self.world.database

    def body(self) -> object:
        """The JSON value in the body; Invalid if there is none, 415 if it claims to be no JSON."""
        if self.http.content_type not in _TOLERATED:
            raise webob.exc.HTTPUnsupportedMediaType(
                f"Content-Type must be {MEDIA_TYPES[0]}, not {self.http.content_type}"
            )
        raw = self._raw_body()
        if not raw:
            raise errors.Invalid(message="The request has no body: a JSON object is expected")
        try:
            return jsontext.loads(raw)
        except ValueError as exc:
            raise errors.Invalid(message=f"The body is not JSON: {exc}") from exc

    def _raw_body(self) -> bytes:
        try:
            return bytes(self.http.body)
        except TimeoutError as exc:
            raise webob.exc.HTTPRequestTimeout("The body did not arrive in time") from exc
        except (OSError, ValueError) as exc:  # cut off, or chunks of impossible sizes
            raise errors.Invalid(message="The body could not be read to its end") from exc

    # ---- lists

    @functools.cached_property
    def parameters(self) -> MultiDict:
        """What the query string says: {name: value}, several of a name possible.

        `webob.Request.GET` keeps itself in the environment that it keeps: with it each request
        would hold its connection's buffers until Python collects garbage.
        """
        return MultiDict(parse_qsl_text(self.http.query_string))

    def text(self, name: str) -> str | None:
        """The query parameter, None if it is absent."""
        value = self.parameters.get(name)
        if value is not None and "\0" in value:
            raise errors.Invalid(message=f"Invalid value for query parameter {name}: it has a NUL")
        return None if value is None else str(value)

    def page(self) -> query.Page:
        """Which part of the list is asked for, in which order."""
        self._at_least_0("page_size")  # it must be right, but counts for nothing
        return query.Page(
            limit=self._limit(),
            marker=self.text("marker"),
            sort_keys=tuple(self.parameters.getall("sort_key")),
            sort_dirs=tuple(self.parameters.getall("sort_dir")),
        )

    def _limit(self) -> int:
        most = int(self.world.conf.osapi_max_limit)
        given = self._at_least_0("limit")
        return most if given is None else min(given, most)

    def _at_least_0(self, name: str) -> int | None:
        given = self.text(name)
        if given is None:
            return None
        if not (given.isascii() and given.isdigit()):
            raise errors.Invalid(
                message=f"Invalid value for query parameter {name}: {given[:64]!r} is not an "
                "integer of at least 0"
            )
        return int(given[:18])

    def collection(self, key: str, page: query.Page, items: list[fields.Json]) -> fields.Json:
        """The answer `{key: items}`, with a link to the rest where our own limit cut it off.

        Who sets a limit pages by himself.  (The SDK follows the links; with a Link header it
        breaks.)
        """
        if not items or len(items) < page.limit or "limit" in self.parameters:
            return {key: items}
        root = versions.base_url(self.http, self.world.conf)
        params = [(name, value) for name, value in self.parameters.items() if name != "marker"]
        params.append(("marker", str(items[-1]["id"])))
        url = f"{root}{parse.quote(self.http.path_info)}?{parse.urlencode(params)}"
        return {key: items, f"{key}_links": [{"rel": "next", "href": url}]}
