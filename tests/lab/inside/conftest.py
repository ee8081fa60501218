"""The inside tests share a lab of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.estate import RunningEstate, running_estate


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEstate]:
    """A running lab."""
    with running_estate(Path(tmp_path_factory.mktemp("inside"))) as running:
        yield running
