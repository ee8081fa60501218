"""Settings that all tests share, and the engines that tests of the edge are run on."""

import hypothesis
import pytest

from lyncgate.engine.master import Engine
from support import edge as support_edge

# Two busy cores: how long an example takes says nothing, so only the tests' own time-outs count.
hypothesis.settings.register_profile("lyncgate", deadline=None)
hypothesis.settings.load_profile("lyncgate")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "engines(*names): the engines that this is true of; else all of them")


@pytest.fixture(autouse=True)
def edge_engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """How the edge moves bytes in this test."""
    chosen = Engine(getattr(request, "param", Engine.LANE))
    monkeypatch.setattr(support_edge, "ENGINE", chosen)
    return chosen


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Whoever runs `support.edge.edge` is run once with each engine."""
    if getattr(metafunc.module, "edge", None) is not support_edge.edge:
        return
    marker = metafunc.definition.get_closest_marker("engines")
    names = marker.args if marker else [str(one) for one in Engine]
    metafunc.parametrize("edge_engine", names, indirect=True)
