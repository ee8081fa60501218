"""The engines under test, and what each says that it can. A new one is a line in ENGINES."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable

from differential.streams import Need
from lyncgate.policy.policy import Policy
from support.edge import EdgeUnderTest, edge


@dataclasses.dataclass(frozen=True)
class Engine:
    """`can`: what streams may need of it and have to be served; others it may as well refuse."""

    name: str
    run: Callable[[Policy], contextlib.AbstractAsyncContextManager[EdgeUnderTest]]
    can: frozenset[Need]


ENGINES = {
    "stock": Engine(
        "stock",
        edge,
        frozenset({Need.PIPELINE, Need.BODY_ANYWHERE, Need.EXPECT_LATE, Need.EXTENSIONS}),
    ),
}
