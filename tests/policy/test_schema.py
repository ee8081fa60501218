"""The JSON Schema and the reference in docs are the model's, and current.

`UPDATE_GOLDEN=1 pytest tests/policy` writes both anew.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

from lyncgate.policy.schema import json_schema, json_schema_text, with_reference
from lyncgate.policy.source import parse

ROOT = pathlib.Path(__file__).parents[2]
SCHEMA = ROOT / "docs" / "rules.schema.json"
RULES_MD = ROOT / "docs" / "rules.md"


def test_the_committed_schema_is_current() -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        SCHEMA.write_text(json_schema_text())
    assert SCHEMA.read_text() == json_schema_text()


def test_the_reference_in_the_docs_is_current() -> None:
    document = RULES_MD.read_text()
    if os.environ.get("UPDATE_GOLDEN"):
        RULES_MD.write_text(with_reference(document))
    assert RULES_MD.read_text() == with_reference(document)


def _keys(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for definition in (schema, *schema["$defs"].values()):
        yield from definition.get("properties", {}).items()


def test_every_key_is_described_and_in_the_docs() -> None:
    document = RULES_MD.read_text()
    keys = list(_keys(json_schema()))
    assert len(keys) > 70
    for key, schema in keys:
        assert "description" in schema or "$ref" in schema, key  # one that has the same words
        assert f"| `{key}` |" in document


def _fits(schema: dict[str, Any], root: dict[str, Any], value: Any) -> bool:
    """The part of JSON Schema that ours uses, so that the test needs no validator."""
    if "$ref" in schema:
        return _fits(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root, value)
    if "anyOf" in schema:
        return any(_fits(choice, root, value) for choice in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        return value in schema.get("enum", [schema.get("const")])
    kinds = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}
    if not isinstance(value, kinds[schema["type"]]) or (
        schema["type"] == "integer" and isinstance(value, bool)
    ):
        return False
    match value:
        case str():
            return re.search(schema.get("pattern", ""), value) is not None
        case int():
            return schema.get("minimum", value) <= value <= schema.get("maximum", value)
        case list():
            return all(_fits(schema["items"], root, item) for item in value)
    known, other = schema.get("properties", {}), schema.get("additionalProperties", True)
    named = schema.get("patternProperties", {})
    return all(key in value for key in schema.get("required", ())) and all(
        _fits_any([known[key]] if key in known else named.values() or [other], root, item)
        for key, item in value.items()
    )


def _fits_any(schemas: Iterable[Any], root: dict[str, Any], value: Any) -> bool:
    return any(schema and _fits(schema, root, value) for schema in schemas)


def test_editors_accept_what_we_accept() -> None:
    schema = json_schema()
    golden = sorted((pathlib.Path(__file__).parent / "golden" / "effective").glob("*.yaml"))
    texts = [part for path in golden for part in path.read_text().split("--- # effective\n")]
    for text in (*texts, (ROOT / "rules.yaml").read_text()):
        assert _fits(schema, schema, parse(text).data)


def test_editors_refuse_what_has_the_wrong_shape() -> None:
    schema = json_schema()
    names = (
        "duration-without-unit",
        "key-unknown",
        "value-empty",
        "version-missing",
        "word-unknown",
        "bind-not-a-list",
    )
    for name in names:
        text = (pathlib.Path(__file__).parent / "invalid" / f"{name}.yaml").read_text()
        assert not _fits(schema, schema, parse(text).data), name


def test_defaults_in_the_schema_are_as_they_would_be_written() -> None:
    schema = json_schema()
    for key, of_key in _keys(schema):
        if of_key.get("default") not in (None, {}, []):
            assert _fits(of_key, schema, of_key["default"]), key
    assert json.loads(json_schema_text()) == schema
