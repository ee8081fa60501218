"""The same streams and answers where addon scripts hold everything up: heads alone, and with the bodies."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from differential import corpus
from differential.engines import inspected
from differential.run import put_through, whole
from differential.test_responses import SHARDS
from differential.test_responses import put_through as put_answers_through

pytestmark = pytest.mark.engines("lane")


@pytest.mark.parametrize("demoted", [False, True])
@pytest.mark.parametrize("subject", corpus.requests())
def test_requests(subject: str, demoted: bool, tmp_path: Path) -> None:
    engine = inspected(tmp_path, requests=True, demoted=demoted)
    report = asyncio.run(put_through(engine, corpus.requests()[subject], whole))
    assert not report.wrong, str(report)


@pytest.mark.parametrize("demoted", [False, True])
@pytest.mark.parametrize("shard", range(SHARDS))
def test_answers(shard: int, demoted: bool, tmp_path: Path) -> None:
    """Requests stream: some members answer before a body has come, which is then waited for."""
    engine = inspected(tmp_path, requests=False, demoted=demoted)
    report = asyncio.run(put_answers_through(engine, shard))
    assert report.streams > 300
    assert not report.wrong, str(report)
