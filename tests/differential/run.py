"""Puts streams through an engine, all clients beside each other, and says what was wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from differential.drive import PATIENCE, QUIET, Conversation, many, talk
from differential.engines import Engine
from differential.judge import judge
from differential.origin import OF_OURS, StrictOrigin, strict_origin
from differential.streams import HOST, Answered, Kind, Stream
from support.edge import EdgeUnderTest, policy

SHOWN = 40  # failures that a report names

type Cut = tuple[str, Sequence[bytes]]  # how a stream is sent: a word for it, and the pieces


def whole(stream: Stream) -> Iterator[Cut]:
    yield "whole", [stream.data]


async def put_through(
    engine: Engine, streams: Iterable[Stream], cuts: Callable[[Stream], Iterable[Cut]]
) -> Report:
    """Every stream, in every way that `cuts` says."""
    report = Report(engine)
    async with strict_origin() as origin, engine.run(policy([origin])) as it:

        async def one(stream: Stream, how: str, pieces: Sequence[bytes]) -> None:
            told = await converse(it, stream, pieces)
            report.take(stream, how, judge(stream, told, origin.seen.pop(told.client, []), engine))

        await many(one(stream, *cut) for stream in streams for cut in cuts(stream))
        report.end(origin)
        report.wrong += [
            f"requests of nobody: {client}: {seen!r:.300}" for client, seen in origin.seen.items()
        ]
        await serves(it, origin)
    return report


async def converse(it: EdgeUnderTest, stream: Stream, pieces: Sequence[bytes]) -> Conversation:
    return await talk(
        it.address("http"),
        pieces,
        methods=[request.method for request in stream.reading.requests],
        answers=len(stream.reading.requests),
        wait_for_end=stream.reading.fault is not None,
        patience=PATIENCE if stream.kind is Kind.MALICIOUS else QUIET,
        half_close=stream.half_close,
    )


async def serves(it: EdgeUnderTest, origin: StrictOrigin) -> None:
    """It is alive, and the next client is served."""
    told = await talk(
        it.address("http"), [b"GET /alive HTTP/1.1\r\n" + HOST + b"\r\n"], methods=[b"GET"], answers=1
    )
    assert [response.value(OF_OURS) is not None for response in told.reader.responses] == [True], told


class Report:
    """`wrong`: what failed, in words."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.streams = 0
        self.wrong: list[str] = []
        self._tried: set[str] = set()
        self._failed: set[str] = set()

    def take(self, stream: Stream | Answered, how: str, wrong: Sequence[str]) -> None:
        self.streams += 1
        known = self._engine.shortcoming(stream.name) if isinstance(stream, Answered) else None
        if known:
            self._tried.add(known)
        if wrong and known:
            self._failed.add(known)
        elif wrong:
            sent = f"{stream.data!r:.200}"
            self.wrong.append(
                f"{stream.kind}: {stream.name} {how}\n    sent {sent}\n    " + "\n    ".join(wrong)
            )

    def end(self, origin: StrictOrigin) -> None:
        self.wrong += [f"DESYNC: {fault}: {raw!r:.500}" for fault, raw in origin.desyncs]
        self.wrong += [f"a request for nobody: {request!r:.300}" for request in origin.strays]
        self.wrong += [f"not a shortcoming any more: {known}" for known in self._tried - self._failed]

    def __str__(self) -> str:
        shown = "\n".join(self.wrong[:SHOWN])
        return f"{len(self.wrong)} wrong, of {self.streams}\n{shown}"
