"""Documents below /v1 about the API itself; every user who has a token may read them."""

import functools

from masakari.api import openapi, replies, versions
from masakari.api.fields import Json
from masakari.api.operation import in_order, operation
from masakari.api.request import Request


@operation(
    "GET",
    "",
    "/",
    "/versions",
    "/versions/v1.0",
    rule=None,
    answer=replies.one("version", replies.VERSION),
)
def show(req: Request) -> Json:
    """Show what this version of the API is."""
    root = versions.base_url(req.http, req.world.conf).removesuffix("/v1")
    return {"version": versions.detail(root)}


@operation("GET", "/openapi.json", rule=None, answer={"type": "object"})
def describe(req: Request) -> Json:
    """Show this description of the API, an OpenAPI document."""
    return document()


@functools.cache
def document() -> Json:
    """The description of the API, made once."""
    return openapi.document(in_order())
