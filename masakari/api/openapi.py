"""The OpenAPI document, made from what the operations declare of themselves.

Schemas are the newest version's; what came later than the first says so in `x-openstack`, in the
words of OpenStack's own documents (min-ver).
"""

import inspect
import re
import sys
from collections.abc import Iterable, Sequence

from masakari import errors
from masakari.api import faults, filters, openapi_schemas, replies, versions
from masakari.api.fields import Json, Schema
from masakari.api.operation import Operation
from masakari.db import query

JSON = "application/json"
REQUEST_ID = "X-Openstack-Request-Id"
_INFO = {
    "title": "Masakari: instance high availability",
    "summary": "The OpenStack service instance-ha",
    "description": (
        "Every path below `/v1` also works with the token's project id behind `/v1`, as in "
        "`/v1/{project_id}/segments`.  Bodies and answers are those of the newest version; what "
        "came with a later version than 1.0 has it as `min-ver` in `x-openstack`, and a request "
        f"must ask for that version, or a later one, in the header `{versions.HEADER}`."
    ),
    "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
    "version": versions.text(versions.NEWEST),
}
_VERSION_WORDS = [
    f"{versions.SERVICE_TYPE} {word}" for word in (*map(versions.text, versions.VERSIONS), "latest")
]
_FAULTS = {
    400: "The request is malformed; the message names the field, or the parameter, and the reason.",
    401: "There is no token, or Keystone does not know it.",
    403: "The policy does not allow it.",
    405: "The version that is asked for does not have it.",
    406: "The version in the header is none of this server's.",
    413: "The body is too large.",
    415: f"The body claims to be something else than {JSON}.",
    500: faults.UNEXPECTED,
    503: "Keystone or the database does not answer; try again later.",
}


def document(operations: Iterable[Operation]) -> Json:
    """The description of the API that *operations* make."""
    known = list(operations)
    paths: Json = {"/": _unversioned("versions", _ROOT), "/healthcheck": _unversioned(*_HEALTH)}
    for op in known:
        paths.setdefault(_path(op), {})[op.method.lower()] = _operation(op, known)
    schemas: Json = {}
    paths = openapi_schemas.by_reference(paths, schemas)
    refusals = openapi_schemas.by_reference(
        {str(status): _refusal(status, []) for status in _FAULTS}, schemas
    )
    return {
        "openapi": "3.1.1",
        "info": _INFO,
        # relative to where the document is served, so that it is right behind any proxy
        "servers": [{"url": "..", "description": "Where this document comes from"}],
        "security": [{"token": []}],
        "tags": [{"name": name, "description": text} for name, text in _tags(known).items()],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-Auth-Token",
                    "description": "A token of Keystone's",
                }
            },
            "headers": _HEADERS,
            "parameters": {"version": _VERSION_PARAMETER},
            "responses": refusals,
            "schemas": schemas,
        },
    }


# ---- outside /v1

_ROOT: Json = {
    "summary": "Show which versions there are.",
    "answers": {"200": {JSON: replies.listing("versions", replies.VERSION_SUMMARY)}},
}
_HEALTH: tuple[str, Json] = (
    "healthcheck",
    {
        "summary": "Tell load balancers whether requests are welcome.",
        "answers": {
            status: {"text/plain": {"type": "string", "examples": [word]}}
            for status, word in (("200", "OK"), ("503", "DISABLED BY FILE"))
        },
    },
)


def _unversioned(name: str, said: Json) -> Json:
    return {
        "get": {
            "operationId": f"{name}_outside",
            "summary": said["summary"],
            "tags": ["documents"],
            "security": [],
            "responses": {
                status: {"description": said["summary"], "content": _content(types)}
                for status, types in said["answers"].items()
            },
        }
    }


def _content(types: dict[str, Schema]) -> Json:
    return {
        kind: {"schema": schema, "example": openapi_schemas.example(schema)}
        for kind, schema in types.items()
    }


# ---- headers

_HEADERS: Json = {
    "version": {
        "description": "The version that the answer has.",
        "required": True,
        "schema": {"type": "string", "enum": _VERSION_WORDS[:-1]},
    },
    "request-id": {
        "description": "Names the request in the logs, and in the progress of its recovery.",
        "required": True,
        "schema": {"type": "string", "pattern": "^req-[0-9a-f-]{36}$"},
    },
    "challenge": {
        "description": "Where Keystone is.",
        "schema": {"type": "string", "examples": ['Keystone uri="http://keystone.example.com"']},
    },
    "retry-after": {
        "description": "Seconds to wait before the next try.",
        "schema": {"type": "integer", "minimum": 0, "examples": [int(faults.RETRY_AFTER_S)]},
    },
}
_VERSION_PARAMETER: Json = {
    "name": versions.HEADER,
    "in": "header",
    "description": "The version that is asked for, 1.0 without it.  What it says of other services "
    "is ignored.",
    "schema": {
        "type": "string",
        "enum": _VERSION_WORDS,
        "default": f"{versions.SERVICE_TYPE} {versions.text(versions.OLDEST)}",
    },
}


def _header(name: str) -> Json:
    return {"$ref": f"#/components/headers/{name}"}


def _reason(reasons: Iterable[str]) -> Json:
    return {
        "description": "Why, in a stable word for machines.",
        "schema": {"type": "string", "enum": sorted(reasons)},
    }


# ---- operations


def _path(op: Operation) -> str:
    return f"/v1{op.paths[0]}"


def _resource(op: Operation) -> str:
    return op.handler.__module__.rpartition(".")[2]


def _name(op: Operation) -> str:
    return f"{_resource(op)}_{op.handler.__name__}"


def _tags(operations: Iterable[Operation]) -> dict[str, str]:
    """The resources in the order of their names, with what their modules say of themselves."""
    modules = {_resource(op): sys.modules[op.handler.__module__] for op in operations}
    return {
        name: (inspect.getdoc(modules[name]) or "").partition("\n\n")[0] for name in sorted(modules)
    }


def _operation(op: Operation, operations: Sequence[Operation]) -> Json:
    who = _who(op)
    aliases = ", ".join(f"`/v1{path}`" for path in op.paths[1:])
    described: Json = {
        "operationId": _name(op),
        "summary": op.description,
        "description": f"{who} Also at {aliases}." if aliases else who,
        "tags": [_resource(op)],
        "parameters": _parameters(op),
        "responses": {str(op.status): _success(op, operations)} | _refusals(op),
    }
    if op.rules:
        described["x-openstack"] = {"policy": ", ".join(op.rules)}
    if op.since > versions.OLDEST:
        described.setdefault("x-openstack", {})["min-ver"] = versions.text(op.since)
    if op.body:
        schema = openapi_schemas.of_body(op.body)
        described["requestBody"] = {"required": True, "content": _content({JSON: schema})}
    return described


def _who(op: Operation) -> str:
    if op.actions:
        rules = (f"`{name}`: `{action.rule}`" for name, action in op.actions.items())
        return f"Policy rules: {', '.join(rules)}."
    return f"Policy rule: `{op.rule}`." if op.rule else "Whoever has a token may ask."


def _parameters(op: Operation) -> list[Json]:
    parameters: list[Json] = [
        {
            "name": variable,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1, "pattern": "^[^/]+$"},
        }
        for variable in _variables(op.paths[0])
    ]
    if op.filters is not None:
        asked = {name: _of_filter(one) for name, one in op.filters.items()} | _paging(op)
        parameters += [_in_query(name, schema) for name, schema in asked.items()]
    return [*parameters, _version_parameter(op)]


def _of_filter(wanted: filters.Filter) -> Schema:
    if wanted.since == versions.OLDEST:
        return wanted.schema
    return replies.since(wanted.since, wanted.schema)


def _version_parameter(op: Operation) -> Json:
    """The header; without it there is no operation that came later than the first version."""
    if op.since == versions.OLDEST:
        return {"$ref": "#/components/parameters/version"}
    later = [versions.text(version) for version in versions.VERSIONS if version >= op.since]
    words = [f"{versions.SERVICE_TYPE} {word}" for word in (*later, "latest")]
    return {
        "name": versions.HEADER,
        "in": "header",
        "required": True,
        "description": "The version that is asked for.",
        "schema": {"type": "string", "enum": words},
    }


def _in_query(name: str, schema: Schema) -> Json:
    words = openapi_schemas.published(schema)
    beside = {key: words.pop(key) for key in ("description", "x-openstack") if key in words}
    return {"name": name, "in": "query", **beside, "schema": words}


def _paging(op: Operation) -> dict[str, Schema]:
    return {
        "limit": {
            "type": "integer",
            "minimum": 0,
            "description": "So many rows at most; the server may have a lower limit of its own.",
        },
        "marker": filters.TEXT.schema
        | {"description": "The id, or the uuid, of the last row of the page before."},
        "page_size": {
            "type": "integer",
            "minimum": 0,
            "description": "Accepted, and without effect.",
        },
        "sort_key": {
            "type": "array",
            "items": {"type": "string", "enum": list(op.sort_keys)},
            "description": "What to sort by, most significant first; then created_at and id.",
        },
        "sort_dir": {
            "type": "array",
            "items": {"type": "string", "enum": list(query.DIRECTIONS)},
            "description": "The direction of each sort_key; the first one also of what has none.",
        },
    }


def _variables(path: str) -> list[str]:
    return re.findall(r"{(\w+)}", path)


# ---- answers


def _success(op: Operation, operations: Sequence[Operation]) -> Json:
    response: Json = {
        "description": op.description,
        "headers": {
            versions.HEADER: _header("version"),
            REQUEST_ID: _header("request-id"),
        },
    }
    if op.answer is not None:
        response["content"] = _content({JSON: op.answer})
        links = _links(op, op.answer, operations)
        if links:
            response["links"] = links
    return response


def _links(op: Operation, answer: Schema, operations: Sequence[Operation]) -> Json:
    """From what was created, or listed first, to what can be done with it."""
    parts: dict[str, Schema] = answer.get("properties", {})
    key, schema = next(iter(parts.items()), ("", {}))
    where = f"$response.body#/{key}"
    if schema.get("type") == "array":
        where, schema = f"{where}/0", schema["items"]
    names = ("uuid", f"{key.removesuffix('s')}_uuid", "alias")
    name = next((n for n in names if n in schema.get("properties", {})), None)
    ours = _variables(op.paths[0])
    links = {}
    for other in operations:
        theirs = _variables(other.paths[0])
        if name and other.paths[0].startswith(f"{op.paths[0]}/{{") and len(theirs) == len(ours) + 1:
            values = {v: f"$request.path.{v}" for v in ours} | {theirs[-1]: f"{where}/{name}"}
            links[_name(other)] = {"operationId": _name(other), "parameters": values}
    return links


def _refusals(op: Operation) -> Json:
    always = {400, 401, 406, 413, 500, 503}
    always |= {403} if op.rules else set()
    always |= {405} if op.since > versions.OLDEST else set()
    always |= {415} if op.body else set()
    declared: dict[int, list[type[errors.MasakariError]]] = {}
    for error in op.faults:
        declared.setdefault(error.status, []).append(error)
    return {
        str(status): _refusal(status, declared[status])
        if status in declared
        else {"$ref": f"#/components/responses/{status}"}
        for status in sorted(always | set(declared))
    }


def _refusal(status: int, declared: Sequence[type[errors.MasakariError]]) -> Json:
    sentences = [_FAULTS[status]] if status in _FAULTS else []
    sentences += [(inspect.getdoc(error) or "").partition("\n\n")[0] for error in declared]
    headers = {REQUEST_ID: _header("request-id")}
    schema = _error(status)
    reasons = {str(error.reason) for error in declared if error.reason}
    if reasons:
        headers[faults.REASON_HEADER] = _reason(reasons)
    if status == 503:
        headers["Retry-After"] = _header("retry-after")
    if status == 401:
        headers["WWW-Authenticate"] = _header("challenge")
        schema = {"anyOf": [_enveloped("error", "KeystoneError", status), schema]}
    content = {
        "schema": schema,
        "example": {faults.name(status): {"code": status, "message": "..."}},
    }
    return {"description": " ".join(sentences), "headers": headers, "content": {JSON: content}}


def _error(status: int) -> Schema:
    return _enveloped(faults.name(status), f"Fault{status}", status)


def _enveloped(key: str, title: str, status: int) -> Schema:
    said = {
        "type": "object",
        "properties": {"code": {"type": "integer", "enum": [status]}, "message": replies.TEXT},
        "required": ["code", "message"],
    }
    return replies.record(title, {key: said})
