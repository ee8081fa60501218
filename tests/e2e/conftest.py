"""A lab and an edge in front of it, as processes, for all tests that leave both as they were: to start
them costs seconds of CPU."""

from collections.abc import Iterator

import pytest

from support.processes import Edge, Lab, edge_process, lab_process


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with lab_process(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture(scope="session")
def edge(lab: Lab) -> Iterator[Edge]:
    with edge_process(lab.rules()) as edge:
        yield edge


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, which only waits: else it begins when the others end."""
    items.sort(key=lambda item: item.name != "test_a_poll_of_200_seconds")
