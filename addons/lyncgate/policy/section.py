"""What the sections of a YAML file of ours have in common, rules.yaml and the lab's scenario alike."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

T = TypeVar("T")
Word = Annotated[T, Field(strict=False)]  # an enum, written as its text


class Section(BaseModel):
    """A mapping of rules.yaml: unknown keys are refused, values are never coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def short(key: str, kind: type | tuple[type, ...], also: Any) -> BeforeValidator:
    """Lets the commonest case be written as its one value: `cookie` for `{type: cookie}`."""

    def expand(value: object) -> object:
        return {key: value} if isinstance(value, kind) and not isinstance(value, bool) else value

    return BeforeValidator(expand, json_schema_input_type=also)
