"""Every answer of the corpus, from an origin through every engine to a strict client."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from differential.corpus.answers import answers
from differential.drive import PATIENCE, Client, many, talk
from differential.engines import ENGINES, Engine
from differential.judge_answers import judge_answer
from differential.messages import Request
from differential.origin import OF_OURS, StrictOrigin, strict_origin
from differential.reading import read_requests
from differential.run import Report, serves
from differential.streams import HOST, Answered, Kind
from support.edge import EdgeUnderTest, policy

ALL = tuple(answers())
SCRIPTS = [dataclasses.replace(answered.script, excess=answered.excess) for answered in ALL]
SHARDS = 3


def test_the_corpus_is_what_it_says() -> None:
    assert len(ALL) > 1_000
    names = [it.name for it in ALL]
    assert len(set(names)) == len(names)
    assert [it.name for it in ALL if it.kind is Kind.VALID and it.whole is None] == []
    assert [it.name for it in ALL if it.kind is Kind.VALID and (it.reading.fault or it.reading.rest)] == []
    assert [it.name for it in ALL if it.kind is Kind.MALICIOUS and it.whole is not None] == []


def request_for(number: int, answered: Answered) -> bytes:
    head = answered.method + b" /scripted/%d HTTP/1.1\r\n" % number + HOST
    if length := len(answered.body) + len(answered.held):
        head += b"Content-Length: %d\r\n" % length
    return head + b"\r\n" + answered.body


async def ask(it: EdgeUnderTest, origin: StrictOrigin, number: int, engine: Engine) -> list[str]:
    """Ask for the answer, then for something else on the same connection."""
    answered = ALL[number]
    next_one = b"GET /next/%d HTTP/1.1\r\n" % number + HOST + b"\r\n"
    [follow_up] = read_requests(next_one).requests

    async def then(client: Client) -> None:
        await client.send([answered.held + next_one])
        reader = client.talk.reader
        await client.until(lambda: client.talk.closed or reader.fault or len(reader.responses) > 1, PATIENCE)

    told = await talk(
        it.address("http"),
        [request_for(number, answered)],
        methods=[answered.method, b"GET"],
        answers=1,
        then=then,
    )
    return judge_answer(answered, told, follow_up, engine, spoilt=told.client in origin.spoilt)


async def put_through(engine: Engine, shard: int) -> Report:
    report = Report(engine)

    async def one(it: EdgeUnderTest, origin: StrictOrigin, number: int) -> None:
        report.take(ALL[number], "", await ask(it, origin, number, engine))

    async with (
        strict_origin(SCRIPTS) as origin,
        engine.run(policy([origin])) as it,
    ):
        await many(one(it, origin, number) for number in range(shard, len(ALL), SHARDS))
        report.end(origin)
        await serves(it, origin)
    return report


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("engine", ENGINES)
def test_answers(engine: str, shard: int) -> None:
    report = asyncio.run(put_through(ENGINES[engine], shard))
    assert report.streams > 300
    assert not report.wrong, str(report)


def test_a_request_and_the_next_have_different_digests() -> None:
    """Else the answer to one could pass for the answer to the other."""
    one, other = (Request(b"GET", b"/next/%d" % number, [(b"Host", b"a")]) for number in (1, 2))
    assert one.digest != other.digest
    assert OF_OURS.lower().startswith(b"x-")
