"""The same streams and answers where addon scripts hold everything up and want the bodies."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from pathlib import Path

import pytest

from differential import corpus
from differential.engines import ENGINES, Engine
from differential.run import put_through, whole
from differential.test_responses import SHARDS
from differential.test_responses import put_through as put_answers_through
from lyncgate.engine.master import Engine as Moves
from support.edge import edge

HOLDS = """
import asyncio

async def requestheaders(flow):
    flow.request.stream = {stream}
    await asyncio.sleep(0)

def request(flow):
    pass

async def responseheaders(flow):
    flow.response.stream = False
    await asyncio.sleep(0)

async def response(flow):
    await asyncio.sleep(0)
"""


def inspected(directory: Path, *, requests: bool) -> Engine:
    """`requests`: their bodies are wanted, too."""
    script = directory / "holds.py"
    script.write_text(HOLDS.format(stream=not requests))
    run = functools.partial(edge, engine=Moves.LANE, scripts=[script])
    return dataclasses.replace(ENGINES["lane"], name="inspected", run=run)


@pytest.mark.parametrize("subject", corpus.requests())
def test_requests(subject: str, tmp_path: Path) -> None:
    engine = inspected(tmp_path, requests=True)
    report = asyncio.run(put_through(engine, corpus.requests()[subject], whole))
    assert not report.wrong, str(report)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_answers(shard: int, tmp_path: Path) -> None:
    """Requests stream: some members answer before a body has come, which is then waited for."""
    report = asyncio.run(put_answers_through(inspected(tmp_path, requests=False), shard))
    assert report.streams > 300
    assert not report.wrong, str(report)
