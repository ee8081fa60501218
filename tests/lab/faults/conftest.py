"""A lab for each fault that a table of symptoms has."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.faults.bench import Bench
from lyncgate.lab.faults.catalogue import choose
from lyncgate.lab.faults.fault import Faults
from support.estate import running_estate

AMOUNTS = {"F36": "2", "F37": "0.5", "F38": "0.3"}  # so that tests don't wait


@pytest.fixture(scope="module")
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A lab with the fault whose code is the fixture's parameter."""
    code: str = request.param
    chosen = choose(f"{code}={AMOUNTS[code]}" if code in AMOUNTS else code)
    directory = Path(tmp_path_factory.mktemp(code))
    with running_estate(directory, poll_minimum=0.05, faults=Faults(chosen)) as lab:
        yield Bench(lab, chosen[0][0])
