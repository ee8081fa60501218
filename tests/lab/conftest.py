"""A lab for the tests of a module, and a way to talk to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.client import Client
from support.estate import RunningEstate, running_estate


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEstate]:
    """A running lab whose polls may be short."""
    with running_estate(Path(tmp_path_factory.mktemp("lab")), poll_minimum=0.05) as running:
        yield running


@pytest.fixture(scope="module")
def client(lab: RunningEstate) -> Client:
    """Asks the lab, without an edge in between."""
    return Client(lab)
