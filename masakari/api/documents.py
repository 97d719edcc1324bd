"""The version document below /v1; every user who has a token may read it."""

from masakari.api import versions
from masakari.api.fields import Json
from masakari.api.operation import operation
from masakari.api.request import Request


@operation("GET", "", "/", "/versions", "/versions/v1.0", rule=None)
def show(req: Request) -> Json:
    """Show what this version of the API is."""
    root = versions.base_url(req.http, req.world.conf).removesuffix("/v1")
    return {"version": versions.detail(root)}
