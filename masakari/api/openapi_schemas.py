"""JSON Schema as an OpenAPI document has it: formats spelt out, parts by reference, examples."""

from collections.abc import Mapping, Sequence
from typing import Any

from masakari.api import fields, versions
from masakari.api.fields import Json, Schema, Shape
from masakari.api.versions import Version

_ZERO: dict[object, object] = {"string": "...", "integer": 0, "number": 0, "array": []}


def published(schema: Any) -> Any:  # JSON: values of every kind
    """*schema* with our own formats in words that every validator knows."""
    if isinstance(schema, Mapping):
        words = {key: published(value) for key, value in schema.items() if key != "format"}
        known = schema.get("format")
        if known is None or not isinstance(known, str):
            return words | ({"format": published(known)} if known else {})
        said = fields.PUBLISHED[known]
        if "enum" in said:
            words.pop("type", None)
        return words | said
    return [published(item) for item in schema] if isinstance(schema, list) else schema


def of_body(shapes: Mapping[Version, Shape]) -> Json:
    """The newest shape of a body, whose properties tell in which version they came."""
    newest: Json = published(shapes[max(shapes)].schema)
    if len(shapes) == 1:
        return newest
    ((key, inner),) = newest["properties"].items()
    for name, schema in inner["properties"].items():
        first = min(v for v, s in shapes.items() if name in _fields(s, key))
        if first > min(shapes):
            schema["x-openstack"] = {"min-ver": versions.text(first)}
    return newest


def _fields(shape: Shape, key: str) -> Json:
    properties: Json = shape.schema["properties"][key]["properties"]
    return properties


def example(schema: Schema) -> Any:  # JSON: values of every kind
    """A value that conforms, from the examples of the parts."""
    if "examples" in schema:
        return schema["examples"][0]
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "object":
        value = {name: example(one) for name, one in schema.get("properties", {}).items()}
        for branch in schema.get("allOf", ()):
            ((on, wanted),) = branch["if"]["properties"].items()
            if value[on] == wanted["const"]:
                value |= {name: _object(one) for name, one in branch["then"]["properties"].items()}
        return value
    if schema.get("type") == "array" and "items" in schema:
        return [example(schema["items"])]
    return _ZERO[schema.get("type")]


def _object(schema: Schema) -> Json:
    return {name: example(one) for name, one in schema["properties"].items()}


def by_reference(value: Any, components: dict[str, Any]) -> Any:  # JSON: values of every kind
    """*value* with objects that have a title in *components*, once each."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [by_reference(item, components) for item in value]
    if not isinstance(value, Mapping):
        return value
    parts = {key: by_reference(part, components) for key, part in value.items()}
    if "title" not in value:
        return parts
    title = parts.pop("title")
    if components.setdefault(title, parts) != parts:
        raise ValueError(f"there are two schemas with the title {title}")
    return {"$ref": f"#/components/schemas/{title}"}
