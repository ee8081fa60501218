"""What is fuzzed, and what must hold for any bytes.

`framing` and `lane` are a client's connection: `feed(data)` takes what the client sent and says what is
done about it. An input is a byte that says into what pieces the rest is cut, and the rest. What must hold,
beside that nothing raises:

- a request that is taken is one to the strict reading, of what RFC 9112 lets a recipient repair repaired,
  with the same method, target, fields, body and trailers; and as many are taken as it finds;
- cutting changes nothing: what is refused in pieces is refused whole, and the other way round.

`answers` is a member's connection, see `fuzz.answering`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable
from typing import Protocol

from differential.messages import Request
from differential.reading import read_requests
from fuzz.answering import Broken, check_answer, pieces_of
from lyncgate.edge.framing import Framing
from lyncgate.engine.lane.requests import Incoming, RequestReader
from lyncgate.policy.policy import Limits


@dataclasses.dataclass(frozen=True)
class Refused:
    """The connection answers with an error and closes."""

    why: str


@dataclasses.dataclass(frozen=True)
class Taken:
    """A whole request was understood. `request`: as what, where that is told."""

    request: Request | None = None


type Action = Refused | Taken


LIMITS = Limits(head=2048, headers=20, url=256)


class Connection(Protocol):
    def feed(self, data: bytes) -> Iterable[Action]: ...


class FramingConnection(Framing):
    """The edge's framing."""

    def __init__(self) -> None:
        super().__init__(LIMITS)
        self._taken = 0

    def on_message_complete(self) -> None:
        super().on_message_complete()
        if not (self._parser.should_upgrade() and self._framed):  # its body is still to come
            self._taken += 1

    def feed(self, data: bytes) -> list[Action]:  # type: ignore[override]  # it is told what is done
        self._taken = 0
        fault = super().feed(data)
        # A fault takes with it whatever ended in the same bytes.
        return [Taken()] * self._taken if fault is None else [Refused(str(fault))]


class LaneConnection:
    """The lane's reader. Whoever asks for a websocket is refused, so that what follows is a request again."""

    def __init__(self) -> None:
        self._reader = RequestReader(LIMITS)

    def feed(self, data: bytes) -> list[Action]:
        actions: list[Action] = []
        reader = self._reader
        fault = reader.feed(data)
        while fault is None and reader.queue and reader.queue[0].complete:
            incoming = reader.queue.popleft()
            actions.append(Taken(_request(incoming)))
            if incoming.websocket:
                fault = reader.resume()
        # A fault takes with it what is not answered yet.
        return actions if fault is None else [*actions, Refused(str(fault))]


def _request(incoming: Incoming) -> Request:
    """Nobody has taken any of its body meanwhile."""
    body = b"".join(incoming.chunks)
    return Request(incoming.method, incoming.target, incoming.fields, body, incoming.trailers)


# What decide() refuses, for all that it is framed well.
NOT_FRAMING = {"target form", "authority", "CONNECT to one that is no forward proxy"}


def outcome(make: Callable[[], Connection], pieces: Iterable[bytes]) -> tuple[list[Taken], Refused | None]:
    """The requests that were taken, and the refusal, after which a connection is not fed again."""
    connection = make()
    taken: list[Taken] = []
    for piece in pieces:
        for action in connection.feed(piece):
            if isinstance(action, Refused):
                return taken, action
            taken.append(action)
    return taken, None


def check(make: Callable[[], Connection], data: bytes) -> None:
    """One input."""
    if len(data) < 2:
        return
    stream = data[1:]
    whole, in_pieces = outcome(make, [stream]), outcome(make, pieces_of(stream, data[0]))
    if (whole[1] is None) != (in_pieces[1] is None):
        raise Broken(f"whole: {whole}, in pieces of {data[0]}: {in_pieces}: {stream!r}")
    reading = read_requests(stream, tolerant=True)
    if reading.fault in NOT_FRAMING:
        return
    for taken, refused in (whole, in_pieces):
        known = len(reading.requests)
        if len(taken) > known or (refused is None and len(taken) < known):
            raise Broken(f"{len(taken)} requests taken, of {known} ({reading.fault}): {stream!r}")
        for one, meant in zip(taken, reading.requests, strict=False):
            if one.request not in (None, meant):
                raise Broken(f"{one.request} was taken, meant was {meant}: {stream!r}")


TARGETS: dict[str, Callable[[bytes], None]] = {
    "framing": functools.partial(check, FramingConnection),
    "lane": functools.partial(check, LaneConnection),
    "answers": check_answer,
}
