"""The engines under test, and what each says that it can. A new one is a line in ENGINES."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from differential.streams import Need
from lyncgate.engine.master import Engine as Moves
from lyncgate.policy.policy import Policy
from support.edge import EdgeUnderTest, edge


@dataclasses.dataclass(frozen=True)
class Engine:
    """`can`: what streams may need of it and have to be served; others it may as well refuse.
    `shortcomings`: which answers it is known to get wrong, by how their names begin, and why. A pattern that
    nothing fails by any more has to go. For requests there are none."""

    name: str
    run: Callable[[Policy], contextlib.AbstractAsyncContextManager[EdgeUnderTest]]
    can: frozenset[Need]
    shortcomings: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def shortcoming(self, name: str) -> str | None:
        return next((pattern for pattern in self.shortcomings if re.match(pattern, name)), None)


# mitmproxy parses the answers of members, and forgives more than a judge can. None of it mixes up clients.
OF_STOCK = {
    r"to the end, which is a reset|1\.0 reset": "a reset is taken for the end of a body",
    r"status line b'(HTTP/(0\.9|2\.0) 200| HTTP)": "other versions, and a space before, pass",
    r"status line b'HTTP/1\.1 (20 |2000|-200|099|000|200 O\\)": "no status, and control bytes, are passed on",
    r"ambiguous: (gzip|identity)|ambiguous: gzip, chunked": "codings that nobody asked for are passed on",
    r"ambiguous: a length beyond": "lengths beyond 63 bits are passed on",
    r"ambiguous: a vertical tab before chunked": "taken for chunked",
    r"0x0[bcd] (behind|before) a (coding|length)": "control bytes around a value are forgiven",
    r"0x0a behind a length": "a bare LF ends the head",
    r"value with 0x|folded": "control bytes and folded lines are passed on",
    r"1\.0 with 100": "passed on as the answer",
    r"304, b'Transfer-Encoding": "a last chunk is sent, and begins the next answer",
    r"early chunks, keep(, cut|, byte|$)": "a client's end is not noticed after such an exchange",
}

ENGINES = {
    "stock": Engine(
        "stock",
        functools.partial(edge, engine=Moves.STOCK),
        frozenset({Need.PIPELINE, Need.BODY_ANYWHERE, Need.EXPECT_LATE, Need.EXTENSIONS}),
        OF_STOCK,
    ),
    "lane": Engine(
        "lane",
        functools.partial(edge, engine=Moves.LANE),
        frozenset(Need) - {Need.METHODS, Need.LARGE, Need.LENGTH_ZEROS},
    ),
}

HEADS = """
import asyncio

async def requestheaders(flow):
    flow.request.stream = {stream}
    await asyncio.sleep(0)

async def responseheaders(flow):
    flow.response.stream = False
    await asyncio.sleep(0)
"""
BODIES = """
def request(flow):
    pass

async def response(flow):
    await asyncio.sleep(0)
"""


def inspected(directory: Path, *, requests: bool, demoted: bool = True) -> Engine:
    """The lane with a script that holds everything up. `demoted`: it wants whole messages, mitmproxy's layer
    carries them; `requests`: bodies of requests, too."""
    script = directory / "holds.py"
    script.write_text(HEADS.format(stream=not requests) + (BODIES if demoted else ""))
    run = functools.partial(edge, engine=Moves.LANE, scripts=[script])
    return dataclasses.replace(ENGINES["lane"], name="inspected", run=run)
