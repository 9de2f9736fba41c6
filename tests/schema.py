"""As much of JSON Schema 2020-12 as schemas of this project use; a keyword that is not known here is an error."""

from typing import Any

Schema = dict[str, Any]

_TYPES = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "null": type(None)}
_WORDS = {"$schema", "title", "description", "$defs"}
_KEYWORDS = {
    *("type", "required", "properties", "additionalProperties", "items", "minItems", "maxItems", "minimum", "maximum"),
    *("const", "enum", "anyOf", "$ref"),
}


def check(value: Any, schema: Schema, root: Schema, place: str = "") -> list[str]:
    """What is wrong with a value, one line each."""
    assert set(schema) <= _KEYWORDS | _WORDS, f"{place}: {set(schema) - _KEYWORDS}"
    if "$ref" in schema:
        return check(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, place)
    if "anyOf" in schema:
        tried = [check(value, one, root, place) for one in schema["anyOf"]]
        return [] if [] in tried else tried[0]
    if "type" in schema and (not isinstance(value, _TYPES[schema["type"]]) or isinstance(value, bool)):
        return [f"{place} is {value!r}, no {schema['type']}"]
    return [*_one_of(value, schema, place), *_size(value, schema, place), *_inside(value, schema, root, place)]


def _one_of(value: Any, schema: Schema, place: str) -> list[str]:
    allowed = [schema["const"]] if "const" in schema else schema.get("enum", [value])
    return [] if value in allowed else [f"{place} is none of {allowed}"]


def _size(value: Any, schema: Schema, place: str) -> list[str]:
    if isinstance(value, list) and not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        return [f"{place} has {len(value)} items"]
    if isinstance(value, int | float) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        return [f"{place} is {value}"]
    return []


def _inside(value: Any, schema: Schema, root: Schema, place: str) -> list[str]:
    if isinstance(value, list):
        return [line for i, item in enumerate(value) for line in check(item, schema.get("items", {}), root, f"{place}[{i}]")]
    if not isinstance(value, dict):
        return []
    wrong = [f"{place} lacks {key}" for key in schema.get("required", []) if key not in value]
    named, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    for key, item in value.items():
        if key not in named and others is False:
            wrong.append(f"{place} has {key}")
        else:
            wrong += check(item, named.get(key, others), root, f"{place}.{key}")
    return wrong
