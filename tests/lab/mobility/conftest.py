"""What the tests of both mobility services share."""

import contextlib
from collections.abc import Iterator

import pytest

from lyncgate.lab.scenario.load import load_scenario
from support.estate import RunningEstate


@pytest.fixture
def without_mobility(lab: RunningEstate) -> contextlib.AbstractContextManager[None]:
    """For as long as it is entered, the global policy enables nobody for mobility."""

    @contextlib.contextmanager
    def changed() -> Iterator[None]:
        before = lab.estate.people.scenario
        text = before.text.replace("EnableMobility: true", "EnableMobility: false")
        lab.estate.people.scenario, problems = load_scenario(text, "scenario.yaml")
        assert not problems
        try:
            yield
        finally:
            lab.estate.people.scenario = before

    return changed()
