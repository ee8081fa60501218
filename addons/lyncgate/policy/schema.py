"""What the model says of rules.yaml, for editors (JSON Schema) and for people (docs/rules.md).

Both are generated: docs/rules.schema.json wholly, docs/rules.md between its two marks. A test fails when
they lag behind; `UPDATE_GOLDEN=1 pytest tests/policy` writes them anew. The reference of the lab's
scenario, docs/scenario.md, is made in the same way.
"""

from __future__ import annotations

import inspect
import json
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from lyncgate.policy.model import Rules
from lyncgate.policy.shape import sections_of

END = "<!-- generated: end -->"

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """JSON Schema of rules.yaml as it is written (shorthands included)."""
    schema = Rules.model_json_schema(mode="validation")
    for section in _paths(Rules):
        properties = schema["$defs"].get(section.__name__, schema)["properties"]
        for name, field in section.model_fields.items():
            if not field.is_required() and field.default is not None:
                properties[field.alias or name]["default"] = _default(section, name)
    tidy: dict[str, Any] = _tidy(schema)
    return {"$schema": _DIALECT, "title": "lyncgate rules.yaml", **tidy}


def json_schema_text() -> str:
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _tidy(node: Any) -> Any:
    """Without pydantic's titles, and without null: a key is left out, not left empty."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    if (choices := node.get("anyOf")) and {"type": "null"} in choices:
        rest = [choice for choice in choices if choice != {"type": "null"}]
        node = {key: value for key, value in node.items() if key != "anyOf"}
        node |= rest[0] if len(rest) == 1 else {"anyOf": rest}
    return {
        key: _tidy_properties(value) if key in ("properties", "$defs") else _tidy(value)
        for key, value in node.items()
        if key != "title" and not (key == "default" and value is None)
    }


def _tidy_properties(named: dict[str, Any]) -> dict[str, Any]:
    """The names here are the operator's, so none of them is dropped."""
    return {name: _tidy(value) for name, value in named.items()}


def reference(model: type[BaseModel]) -> str:
    """Every key as Markdown: a table a section, in the order of the file."""
    parts = []
    for section, paths in _paths(model).items():
        heading = ", ".join(f"`{path}`" for path in paths if path) or "Top level"
        rows = [_row(section, name, field) for name, field in section.model_fields.items()]
        parts.append(f"### {heading}\n\n{inspect.cleandoc(section.__doc__ or '')}\n\n{_table(rows)}")
    return "\n".join(parts)


def with_reference(document: str, model: type[BaseModel] = Rules) -> str:
    """docs/rules.md, or the document of another model, with its generated part renewed."""
    begin = f"<!-- generated from {model.__module__.replace('.', '/')}.py: begin -->"
    before, _, rest = document.partition(begin)
    _, _, after = rest.partition(END)
    return f"{before}{begin}\n\n{reference(model)}\n{END}{after}"


def _paths(model: type[BaseModel]) -> dict[type[BaseModel], list[str]]:
    """Each section with the places where it may stand."""
    paths: dict[type[BaseModel], list[str]] = {}

    def walk(section: type[BaseModel], path: str) -> None:
        paths.setdefault(section, []).append(path)
        for name, field in section.model_fields.items():
            for suffix, inner in sections_of(field.annotation):
                walk(inner, f"{path}.{field.alias or name}{suffix}".lstrip("."))

    walk(model, "")
    return paths


def _default(section: type[BaseModel], name: str) -> Any:
    """A key's default as the operator would write it, in JSON."""
    default = section.model_fields[name].default
    if isinstance(default, BaseModel):
        written = default.model_dump(mode="json", exclude_unset=True)
        return next(iter(written.values())) if len(written) == 1 else written
    return section.model_construct().model_dump(mode="json", include={name})[name]


def _row(section: type[BaseModel], name: str, field: FieldInfo) -> tuple[str, str, str]:
    meaning = str(field.description).replace("|", "\\|")
    return f"`{field.alias or name}`", _show_default(section, name, field), meaning


def _show_default(section: type[BaseModel], name: str, field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = None if field.default is None else _default(section, name)
    if default in (None, {}, ""):
        return "–"
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _table(rows: list[tuple[str, str, str]]) -> str:
    head = [("key", "default", "meaning"), ("---", "---", "---")]
    return "".join(f"| {' | '.join(row)} |\n" for row in [*head, *rows])
