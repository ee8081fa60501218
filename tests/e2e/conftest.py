"""A lab and an edge in front of it, as processes, for all tests that leave both as they were: to start
them costs seconds of CPU."""

import contextlib
from collections.abc import Callable, Iterator

import pytest

from lyncgate.engine.master import Engine
from support.processes import Edge, Lab, edge_process, lab_process


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with lab_process(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture(scope="session")
def edge(lab: Lab) -> Iterator[Edge]:
    with edge_process(lab.rules()) as edge:
        yield edge


@pytest.fixture(scope="session")
def edge_of(
    lab: Lab, edge: Edge, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Engine], Edge]]:
    """An edge by the engine that moves its bytes, begun when the first test wants it."""
    with contextlib.ExitStack() as running:
        begun = {Engine.LANE: edge}

        def of(engine: Engine) -> Edge:
            if engine not in begun:
                rules = lab.rules(tmp_path_factory.mktemp(engine))
                begun[engine] = running.enter_context(edge_process(rules, engine=engine))
            return begun[engine]

        yield of


@pytest.fixture(params=list(Engine))
def edge_by_engine(request: pytest.FixtureRequest, edge_of: Callable[[Engine], Edge]) -> Edge:
    """For tests that are run once with each engine."""
    return edge_of(request.param)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, which only waits: else it begins when the others end."""
    items.sort(key=lambda item: item.name != "test_a_poll_of_200_seconds")
