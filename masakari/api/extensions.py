"""Extensions: the resources by another name, for clients that ask what there is."""

from collections.abc import Sequence
from dataclasses import dataclass

import webob.exc
from oslo_policy import policy

from masakari.api.fields import Json
from masakari.api.operation import READ, operation
from masakari.api.request import Request

RULE = "os_masakari_api:extensions:"


@dataclass(frozen=True, slots=True)
class Extension:
    """A resource of the API."""

    name: str
    alias: str
    description: str
    discoverable_check: str = READ

    @property
    def rule(self) -> str:
        """Who sees it in the list."""
        return f"os_masakari_api:{self.alias}:discoverable"


EXTENSIONS: tuple[Extension, ...] = (
    Extension("Extensions", "extensions", "Extension information."),
    Extension("Notifications", "notifications", "Notifications Extension."),
    Extension("Hosts", "os-hosts", "Hosts controller"),
    Extension("Segments", "segments", "Segments Extension."),
    Extension("Versions", "versions", "API Version information.", discoverable_check="@"),
    Extension("vmoves", "vmoves", "VM moves Extension."),
)
"""Sorted by alias."""


def shape(extension: Extension) -> Json:
    """An extension as replies show it."""
    return {
        "name": extension.name,
        "alias": extension.alias,
        "description": extension.description,
        "namespace": "",
        "updated": "",
        "links": [],
    }


@operation("GET", "/extensions", rule=RULE + "index")
def index(req: Request) -> Json:
    """List the extensions that the policy lets be seen."""
    return {"extensions": [shape(extension) for extension in _visible(req)]}


@operation("GET", "/extensions/{alias}", rule=RULE + "detail")
def show(req: Request, alias: str) -> Json:
    """Show an extension."""
    for extension in _visible(req):
        if extension.alias == alias:
            return {"extension": shape(extension)}
    raise webob.exc.HTTPNotFound(f"No extension with alias {alias}.")


def discoverable_rules() -> Sequence[policy.RuleDefault]:
    """The rules that decide what is visible."""
    return [
        policy.RuleDefault(
            extension.rule, extension.discoverable_check, f"List the extension {extension.alias}."
        )
        for extension in EXTENSIONS
    ]


def _visible(req: Request) -> list[Extension]:
    return [
        extension for extension in EXTENSIONS if req.world.policy.allows(extension.rule, req.ctx)
    ]
