"""The event loop that a worker runs on: uvloop's, with tasks that begin at once as mitmproxy wants them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator
from typing import Any

import uvloop


def new_loop() -> asyncio.AbstractEventLoop:
    return uvloop.new_event_loop()


def eager_task(
    loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **options: Any
) -> asyncio.Task[Any]:
    """asyncio's, for whatever it is called with: uvloop 0.22 passes on `eager_start`, which the one of
    Python before 3.13.3 doesn't know; there every task is eager anyway."""
    options.pop("eager_start", None)
    return asyncio.eager_task_factory(loop, coro, **options)


@contextlib.contextmanager
def eager_tasks() -> Iterator[None]:
    """Tasks of the running loop begin at once, and not at its next turn."""
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()
    loop.set_task_factory(eager_task)
    try:
        yield
    finally:
        loop.set_task_factory(before)
