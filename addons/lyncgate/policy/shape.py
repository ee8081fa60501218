"""Plain data → the model, or what is wrong with its shape, said in the operator's words.

pydantic finds the mistakes; here they become `found …; allowed: …`. A mistake in one section must not
hide those in others, so the cross-checks run on the sections that are sound: `validate` says which are not.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from lyncgate.policy.problem import Key, Report, did_you_mean, show_value
from lyncgate.policy.scalars import REFUSED
from lyncgate.policy.source import Document, SourceError, parse

_KINDS = {
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Shaped[M: BaseModel]:
    """A text as its model, as far as it goes. `broken`: sections left out of the model."""

    model: M | None
    broken: frozenset[str]
    report: Report


def shaped[M: BaseModel](text: str, filename: str, model: type[M]) -> Shaped[M]:
    """Reads a YAML text; whatever it is, the outcome is a `Shaped`, and its report says what is wrong."""
    try:
        document = parse(text)
    except SourceError as error:
        report = Report(filename, {}, {})
        report.at(error.mark, (), error.message)
        return Shaped(None, frozenset(), report)
    report = Report(filename, document.values, document.keys)
    for mark, key in document.duplicates:
        report.at(mark, key, "found the key again; allowed: each key once")
    made, broken = validate(model, document, report)
    return Shaped(made, broken, report)


def validate[M: BaseModel](
    model: type[M], document: Document, report: Report
) -> tuple[M | None, frozenset[str]]:
    """The model with the sections that are sound, and the names of those that are broken or missing.

    None if not even that can be made: the text is no mapping, or a section without a default is broken.
    """
    data = document.data
    if not isinstance(data, dict):
        report.error(
            (), f"found {show_value(data)}; allowed: a mapping with the keys {', '.join(_keys(model))}"
        )
        return None, frozenset()
    empty = tuple(_empty(data))
    for key in empty:
        report.error(key, f"found nothing; allowed: {_wanted(model, key)}")
    broken = {str(key[0]) for key in empty}
    try:
        return model.model_validate(_without(data, broken)), frozenset(broken)
    except ValidationError:
        pass
    try:
        model.model_validate(data)
    except ValidationError as error:
        details = [detail for detail in error.errors() if _written(detail["loc"], data) not in empty]
        for detail in details:
            _tell(model, detail, data, report)
        broken |= {str(detail["loc"][0]) for detail in details}
    try:
        return model.model_validate(_without(data, broken)), frozenset(broken)
    except ValidationError:
        return None, frozenset(broken)


def _without(data: Mapping[str, object], sections: set[str]) -> dict[str, object]:
    return {key: value for key, value in data.items() if key not in sections}


def _empty(data: object, key: Key = ()) -> Iterator[Key]:
    """Keys with nothing behind them. Refused, as `ca:` left empty would silently mean the default."""
    if data is None:
        yield key
    elif isinstance(data, dict):
        for name, value in data.items():
            yield from _empty(value, (*key, name))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _empty(value, (*key, index))


def _tell(model: type[BaseModel], detail: ErrorDetails, data: object, report: Report) -> None:
    kind, loc = detail["type"], detail["loc"]
    if kind == "extra_forbidden":
        known = _keys(_model_at(model, loc[:-1]) or model)
        hint = did_you_mean(str(loc[-1]), known)
        report.at_key(loc, f"unknown key; {hint}allowed: {', '.join(sorted(known))}")
        return
    if kind == "missing":
        report.error(loc, f"missing; allowed: {_wanted(model, loc)}")
        return
    found = show_value(detail["input"])
    if loc[-1] == "[key]":
        report.at_key(loc[:-1], f"found {found}; allowed: {_allowed(detail)}")
        return
    report.error(_written(loc, data), f"found {found}; allowed: {_allowed(detail)}")


def _allowed(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    match kind:
        case _ if kind == REFUSED:
            return str(context["allowed"])
        case "literal_error" | "enum":
            return str(context["expected"]).replace("'", "")
        case "greater_than_equal":
            return f"at least {context['ge']}"
        case "less_than_equal":
            return f"at most {context['le']}"
        case "too_short":
            return "at least one entry"
        case "string_too_short":
            return "text that is not empty"
        case _:
            return _KINDS.get(kind, detail["msg"])


def _written(loc: Key, data: object) -> Key:
    """The part of a place that the operator wrote: `affinity: x` is read as `{type: x}`, so `affinity`."""
    for depth, part in enumerate(loc):
        try:
            data = data[part]  # type: ignore[index]  # what can't be indexed by it was not written
        except (TypeError, LookupError):
            return loc[:depth]
    return loc


def _wanted(model: type[BaseModel], loc: Key) -> str:
    """What belongs at a place, from the key's own description."""
    owner = _model_at(model, loc[:-1]) if loc else None
    for name, field in (owner.model_fields if owner else {}).items():
        if loc[-1] in (name, field.alias):
            said = str(field.description).rstrip(".")
            return said[0].lower() + said[1:] if said[1:2].islower() else said
    return "a value"


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_at(model: type[BaseModel], loc: Key) -> type[BaseModel] | None:
    """The class that describes the mapping at a place."""
    here: Any = model
    for part in loc:
        if isinstance(here, type) and issubclass(here, BaseModel):
            fields = {field.alias or name: field for name, field in here.model_fields.items()}
            here = fields[str(part)].annotation if part in fields else None
        else:  # dict[…, X] or list[X]
            here = get_args(here)[-1] if get_args(here) else None
        here = bare(here)
    return here if isinstance(here, type) and issubclass(here, BaseModel) else None


def sections_of(annotation: Any) -> Iterator[tuple[str, type[BaseModel]]]:
    """The mapping that a key holds, and how one gets from the key to it: "", "[]" or ".<name>"."""
    here, suffix = bare(annotation), ""
    if get_origin(here) in (list, dict):
        suffix = "[]" if get_origin(here) is list else ".<name>"
        here = bare(get_args(here)[-1])
    if isinstance(here, type) and issubclass(here, BaseModel):
        yield suffix, here


def bare(annotation: Any) -> Any:
    """`Annotated[X, …]` and `X | None` → `X`."""
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation = get_args(annotation)[0]
        elif origin in (Union, types.UnionType):
            annotation = next(arg for arg in get_args(annotation) if arg is not type(None))
        else:
            return annotation
