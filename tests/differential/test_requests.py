"""Every stream of the corpus, through every engine, to a strict origin: refused, or seen as it was meant."""

from __future__ import annotations

import asyncio

import pytest

from differential import corpus
from differential.engines import ENGINES
from differential.run import put_through, whole


@pytest.mark.parametrize("subject", corpus.requests())
@pytest.mark.parametrize("engine", ENGINES)
def test_whole(engine: str, subject: str) -> None:
    report = asyncio.run(put_through(ENGINES[engine], corpus.requests()[subject], whole))
    assert not report.wrong, str(report)
