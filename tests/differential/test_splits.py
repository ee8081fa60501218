"""However a stream is cut into segments, it is the same stream.

All of it is minutes of work for a slow engine: the suite takes one place in sixteen, another in each stream.
LYNCGATE_DIFFERENTIAL=all takes every place of every one.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest

from differential import corpus
from differential.drive import byte_by_byte, cut_at
from differential.engines import ENGINES
from differential.run import Cut, put_through
from differential.streams import Stream

ALL = os.environ.get("LYNCGATE_DIFFERENTIAL") == "all"
CUT = 300  # streams that are cut at every place
EVERY = 1 if ALL else 16  # of these places, so many are one test
SHARDS = 4
LONGEST = 400  # bytes that are worth to be sent one by one


def in_two(number: int, stream: Stream) -> Iterator[Cut]:
    for at in range(1 + number % EVERY, len(stream.data), EVERY):
        yield f"cut at {at}", cut_at(stream.data, at)


def by_bytes(stream: Stream) -> Iterator[Cut]:
    yield "byte by byte", byte_by_byte(stream.data)


@pytest.mark.timeout(1800 if ALL else 120)
@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("engine", ENGINES)
def test_cut_in_two(engine: str, shard: int) -> None:
    streams = corpus.short_ones(CUT)
    assert len(streams) == CUT
    numbers = {stream.name: number for number, stream in enumerate(streams)}
    mine = streams[shard::SHARDS]
    report = asyncio.run(
        put_through(ENGINES[engine], mine, lambda stream: in_two(numbers[stream.name], stream))
    )
    assert report.streams > len(mine)
    assert not report.wrong, str(report)


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("engine", ENGINES)
def test_byte_by_byte(engine: str, shard: int) -> None:
    every = [stream for streams in corpus.requests().values() for stream in streams]
    mine = [stream for stream in every if 1 < len(stream.data) <= LONGEST][
        shard :: SHARDS * (1 if ALL else 6)
    ]
    report = asyncio.run(put_through(ENGINES[engine], mine, by_bytes))
    assert report.streams > 80
    assert not report.wrong, str(report)
