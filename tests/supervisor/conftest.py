"""A member that answers, and an edge of two workers before it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.crew import Crew, Origin, crew, member


@pytest.fixture
def origin() -> Iterator[Origin]:
    with member() as origin:
        yield origin


@pytest.fixture
def two(tmp_path: Path, origin: Origin) -> Iterator[Crew]:
    with crew(tmp_path, origin, workers=2) as edge:
        yield edge
