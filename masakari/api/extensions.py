"""Extensions: the resources by another name, for clients that ask what there is."""

from collections.abc import Sequence
from dataclasses import dataclass

from oslo_policy import policy

from masakari import errors
from masakari.api import replies
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

EXTENSION = replies.record(
    "Extension",
    {
        "name": replies.TEXT | {"examples": ["Segments"]},
        "alias": replies.TEXT | {"examples": ["segments"]},
        "description": replies.TEXT | {"examples": ["Segments Extension."]},
        "namespace": replies.TEXT | {"examples": [""]},
        "updated": replies.TEXT | {"examples": [""]},
        "links": {"type": "array", "maxItems": 0, "examples": [[]]},
    },
)


class ExtensionNotFound(errors.MasakariError):
    """No extension has that alias, or the policy hides it."""

    template = "No extension with alias {alias}."
    status = 404


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


@operation(
    "GET", "/extensions", rule=RULE + "index", answer=replies.listing("extensions", EXTENSION)
)
def index(req: Request) -> Json:
    """List the extensions that the policy lets be seen."""
    return {"extensions": [shape(extension) for extension in _visible(req)]}


@operation(
    "GET",
    "/extensions/{alias}",
    rule=RULE + "detail",
    answer=replies.one("extension", EXTENSION),
    faults=[ExtensionNotFound],
)
def show(req: Request, alias: str) -> Json:
    """Show an extension."""
    for extension in _visible(req):
        if extension.alias == alias:
            return {"extension": shape(extension)}
    raise ExtensionNotFound(alias=alias)


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
