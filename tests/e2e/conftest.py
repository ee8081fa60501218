"""A lab and an edge in front of it, as processes, for the tests of a module that leave both as they were."""

from collections.abc import Iterator

import pytest

from support.processes import Edge, Lab, edge_process, lab_process


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with lab_process(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture(scope="module")
def edge(lab: Lab) -> Iterator[Edge]:
    with edge_process(lab.rules()) as edge:
        yield edge
