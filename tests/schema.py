"""As much of JSON Schema 2020-12 as schemas of this project use; a keyword that is not known here is an error."""

from typing import Any

_TYPES = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "null": type(None)}
_WORDS = {"$schema", "title", "description", "$defs"}


def check(value: Any, schema: dict[str, Any], root: dict[str, Any], place: str = "") -> list[str]:
    """What is wrong with a value, one line each."""
    known = {"type", "required", "properties", "additionalProperties", "items", "minItems", "maxItems", "minimum", "maximum"}
    assert set(schema) <= known | _WORDS | {"const", "enum", "anyOf", "$ref"}, f"{place}: {set(schema) - known}"
    if "$ref" in schema:
        return check(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, place)
    if "anyOf" in schema:
        tried = [check(value, one, root, place) for one in schema["anyOf"]]
        return [] if [] in tried else tried[0]
    if "type" in schema and (not isinstance(value, _TYPES[schema["type"]]) or isinstance(value, bool)):
        return [f"{place} is {value!r}, no {schema['type']}"]
    wrong = []
    if "const" in schema and value != schema["const"]:
        wrong.append(f"{place} is not {schema['const']!r}")
    if "enum" in schema and value not in schema["enum"]:
        wrong.append(f"{place} is none of {schema['enum']}")
    if isinstance(value, dict):
        wrong += _object(value, schema, root, place)
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            wrong.append(f"{place} has {len(value)} items")
        wrong += [line for i, item in enumerate(value) for line in check(item, schema.get("items", {}), root, f"{place}[{i}]")]
    if isinstance(value, int | float) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        wrong.append(f"{place} is {value}")
    return wrong


def _object(value: dict[str, Any], schema: dict[str, Any], root: dict[str, Any], place: str) -> list[str]:
    wrong = [f"{place} lacks {key}" for key in schema.get("required", []) if key not in value]
    named, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    for key, item in value.items():
        if key not in named and others is False:
            wrong.append(f"{place} has {key}")
        else:
            wrong += check(item, named.get(key, others), root, f"{place}.{key}")
    return wrong
