"""What is fuzzed, and what must hold for any bytes.

A target is a connection: `feed(data)` takes what the client sent and says what is done about it. An input is
a byte that says into what pieces the rest is cut, and the rest. What must hold, beside that nothing raises:

- a request that is taken is one to the strict reading, of what RFC 9112 lets a recipient repair repaired; and
  as many are taken as it finds;
- cutting changes nothing: what is refused in pieces is refused whole, and the other way round.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Protocol

from differential.reading import read_requests
from lyncgate.edge.framing import Framing
from lyncgate.policy.policy import Limits


@dataclasses.dataclass(frozen=True)
class Refused:
    """The connection answers with an error and closes."""

    why: str


@dataclasses.dataclass(frozen=True)
class Taken:
    """A whole request was understood."""


type Action = Refused | Taken


class Connection(Protocol):
    def feed(self, data: bytes) -> Iterable[Action]: ...


class FramingConnection(Framing):
    """The edge's framing."""

    def __init__(self) -> None:
        super().__init__(Limits(head=2048, headers=20, url=256))
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


# What decide() refuses, for all that it is framed well.
NOT_FRAMING = {"target form", "authority", "CONNECT to one that is no forward proxy"}

TARGETS: dict[str, Callable[[], Connection]] = {"framing": FramingConnection}


class Broken(Exception):  # noqa: N818 (it is what it says)
    """What must hold does not."""


def pieces_of(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)] if size else [data]


def outcome(make: Callable[[], Connection], pieces: Iterable[bytes]) -> tuple[int, Refused | None]:
    """How many requests were taken, and the refusal, after which a connection is not fed again."""
    connection, taken = make(), 0
    for piece in pieces:
        for action in connection.feed(piece):
            if isinstance(action, Refused):
                return taken, action
            taken += 1
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
        if taken > known or (refused is None and taken < known):
            raise Broken(f"{taken} requests taken, of {known} ({reading.fault}): {stream!r}")
