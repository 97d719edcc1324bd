"""One HTTP operation: everything true of it, declared in one place.

    @operation("POST", "/segments", rule="os_masakari_api:segments:create",
               body={(1, 0): CREATE}, status=201,
               answer=replies.one("segment", SEGMENT), faults=[SegmentExists])
    def create(req, body): ...

*body* maps a version to the shape of bodies from that version on; *filters* are the parameters of a
list, whose values the handler gets; *faults* are the errors beyond those that every operation
answers with.  In requests of versions before *since* there is no such operation.  Where the one
property of the body says what is to be done, each is one of *actions*, with a rule of its own.
`openapi` makes the document of the API from all of it.
"""

import inspect
import itertools
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import webob
from oslo_policy import policy

from masakari import errors
from masakari.api import fields, jsontext, versions
from masakari.api.filters import Filter
from masakari.api.request import Request
from masakari.api.versions import Version

Json = fields.Json
Handler = Callable[..., Json | None]  # (req, [body or filters,] **variables of the path)

ADMIN = "rule:admin_api"
READ = "rule:admin_api or rule:reader_api or rule:service_api"
REPORT = "rule:admin_api or rule:service_api"


@dataclass(frozen=True, slots=True)
class Action:
    """One of the things that an operation may do."""

    rule: str
    description: str


@dataclass(frozen=True, slots=True)
class Operation:
    """A method on a path."""

    method: str
    paths: tuple[str, ...]
    handler: Handler
    rule: str | None
    """None: whoever has a token, or whoever one of *actions* lets in"""
    check: str
    """The default of the rules."""
    body: Mapping[Version, fields.Shape]
    filters: Mapping[str, Filter] | None
    """None: it is no list"""
    sort_keys: Collection[str]
    status: int
    answer: fields.Schema | None
    """None: there is no body"""
    faults: Collection[type[errors.MasakariError]]
    since: Version
    actions: Mapping[str, Action]
    """{property of the body: what it asks for}"""

    @property
    def rules(self) -> Mapping[str, str]:
        """{rule: what it allows}."""
        if self.rule is not None:
            return {self.rule: self.description}
        return {action.rule: action.description for action in self.actions.values()}

    @property
    def label(self) -> str:
        """Method and path, as metrics name it."""
        return f"{self.method} {self.paths[0] or '/'}"

    @property
    def description(self) -> str:
        """One sentence."""
        return (inspect.getdoc(self.handler) or "").partition("\n\n")[0].replace("\n", " ")

    def __call__(self, req: Request, **variables: str) -> webob.Response:
        """The answer: first the policy, then the body, then the deed."""
        self._authorize(req)
        arguments = [self._body(req)] if self.body else []
        if self.filters is not None:
            arguments.append(self._filters(req, self.filters))
        answer = self.handler(req, *arguments, **variables)
        response = webob.Response(status=self.status)
        response.headers["Content-Type"] = "application/json"  # with 204, too: clients look at it
        if answer is not None:
            response.body = jsontext.dumps(answer)
        return response

    def _authorize(self, req: Request) -> None:
        """Raise Forbidden unless one of the rules allows it; which one, the body has to tell."""
        rules = list(self.rules)
        if len(rules) > 1 and any(req.world.policy.allows(rule, req.ctx) for rule in rules):
            return
        for rule in rules[:1]:
            req.world.policy.authorize(rule, req.ctx)

    def _body(self, req: Request) -> Json:
        value = req.body()
        current = max(version for version in self.body if version <= req.version)
        try:
            self.body[current].check(value)
        except errors.Invalid as exc:
            raise self._hint(value, current, exc) from exc
        body: Json = value  # type: ignore[assignment]  # every shape is that of an object
        for name in self.actions.keys() & body:
            req.world.policy.authorize(self.actions[name].rule, req.ctx)
        return body

    def _filters(self, req: Request, filters: Mapping[str, Filter]) -> Json:
        """What is asked for, by the name that a Python argument can have."""
        given = req.parameters
        return {
            name.replace("-", "_"): wanted.value(name, given[name])
            for name, wanted in filters.items()
            if name in given and req.version >= wanted.since
        }

    def _hint(self, value: object, current: Version, exc: errors.Invalid) -> errors.Invalid:
        """*exc*, or if a later version accepts the body, the advice to ask for it."""
        for later in sorted(version for version in self.body if version > current):
            try:
                self.body[later].check(value)
            except errors.Invalid:
                continue
            return errors.Invalid(
                message=f"{exc} (it is from version {versions.text(later)} on: "
                f"{versions.HEADER}: {versions.SERVICE_TYPE} {versions.text(later)})"
            )
        return exc


OPERATIONS: list[Operation] = []
"""Every operation, in the order in which their modules were imported."""


def operation(
    method: str,
    *paths: str,
    rule: str | None = None,
    check: str | None = None,
    body: Mapping[Version, fields.Shape] | None = None,
    filters: Mapping[str, Filter] | None = None,
    sort_keys: Collection[str] = (),
    status: int = 200,
    answer: fields.Schema | None = None,
    faults: Collection[type[errors.MasakariError]] = (),
    since: Version = versions.OLDEST,
    actions: Mapping[str, Action] | None = None,
) -> Callable[[Handler], Handler]:
    """Declare that the function answers *method* on *paths* (below /v1 or /v1/{project_id}).

    By default *rule* lets readers get things, and administrators do everything.
    """
    if check is None:
        check = READ if method == "GET" else ADMIN

    def declare(handler: Handler) -> Handler:
        OPERATIONS.append(
            Operation(
                method,
                paths,
                handler,
                rule,
                check,
                body or {},
                filters,
                sort_keys,
                status,
                answer,
                faults,
                since,
                actions or {},
            )
        )
        return handler

    return declare


def in_order() -> list[Operation]:
    """Every operation, by path and method."""
    return sorted(OPERATIONS, key=lambda op: (op.paths, op.method))


def rules() -> Iterable[policy.DocumentedRuleDefault]:
    """One documented rule for each that operations name."""
    ruled = sorted(
        ((rule, op) for op in in_order() for rule in op.rules), key=lambda ruled: ruled[0]
    )
    for rule, group in itertools.groupby(ruled, key=lambda ruled: ruled[0]):
        ops = [op for _, op in group]
        yield policy.DocumentedRuleDefault(
            name=rule,
            check_str=ops[0].check,
            description=ops[0].rules[rule],
            operations=[{"method": op.method, "path": path} for op in ops for path in op.paths],
        )


def table() -> str:
    """Method, path, status, rule and versions of bodies: the API's surface, a line each."""
    rows: list[tuple[str, ...]] = [("method", "path", "status", "rule", "bodies")]
    rows += [
        (
            op.method,
            path or "(empty)",
            str(op.status),
            rule,
            " ".join(map(versions.text, sorted(op.body))) or "-",
        )
        for op in in_order()
        for path in op.paths
        for rule in op.rules or ("-",)
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "".join(
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() + "\n"
        for row in rows
    )
