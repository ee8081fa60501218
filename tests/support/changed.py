"""A record with some of its fields as they shall be, whatever kind of record it is."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec


def changed(record: Any, **changes: Any) -> Any:
    if isinstance(record, msgspec.Struct):
        return msgspec.structs.replace(record, **changes)
    return dataclasses.replace(record, **changes)
