"""Operators' addons on the lane: which of them have which hook, looked up once, and how a hook is called.

A hook that returns at once costs a call; one that has to wait becomes a task that the exchange waits for.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mitmproxy import exceptions, options
from mitmproxy.addonmanager import traverse
from mitmproxy.http import HTTPFlow

from lyncgate.engine.lane.demoted import DemotedRelay
from lyncgate.engine.lane.exchange import Relay
from lyncgate.engine.lane.messages import MessagesRelay
from lyncgate.engine.lane.scripted import ScriptedRelay

if TYPE_CHECKING:
    from lyncgate.engine.lane.client import ClientConnection
    from lyncgate.engine.lane.lane import Lane
    from lyncgate.engine.lane.requests import Incoming

type Hook = Callable[[HTTPFlow], Awaitable[None] | None]

OF_HEADS = ("requestheaders", "responseheaders", "error")
OF_WHOLE_MESSAGES = ("request", "response")
OF_WEBSOCKETS = ("websocket_start", "websocket_message", "websocket_end")

log = logging.getLogger(__name__)


class Scripts:
    """`table`: the hooks by name, in the order that the addons were loaded."""

    def __init__(
        self, table: dict[str, tuple[Hook, ...]], loop: asyncio.AbstractEventLoop, settings: options.Options
    ) -> None:
        self.table = table
        self._messages = any(table[name] for name in OF_WEBSOCKETS)
        self._bodies = any(table[name] for name in OF_WHOLE_MESSAGES)
        self._heads = any(table[name] for name in OF_HEADS)
        self._loop = loop
        self._settings = settings
        self._tasks: set[asyncio.Task[None]] = set()
        self._told: set[str] = set()

    @staticmethod
    def of(
        addons: Iterable[Any], loop: asyncio.AbstractEventLoop, settings: options.Options
    ) -> Scripts | None:
        """None if they want nothing of an exchange."""
        every = list(traverse(addons))  # with addons inside addons
        names = (*OF_HEADS, *OF_WHOLE_MESSAGES, *OF_WEBSOCKETS)
        table = {name: tuple(_hooks(every, name)) for name in names}
        return Scripts(table, loop, settings) if any(table.values()) else None

    def relay(self, lane: Lane, client: ClientConnection, incoming: Incoming) -> Relay:
        """Who carries the exchange: mitmproxy's layer only where it is needed."""
        if self._messages and incoming.websocket:
            return MessagesRelay(lane, client, incoming, self, self._settings)
        if self._bodies:
            return DemotedRelay(lane, client, incoming, self, self._settings)
        if self._heads:
            return ScriptedRelay(lane, client, incoming, self)
        return Relay(lane, client, incoming)

    def run(self, name: str, flow: HTTPFlow) -> asyncio.Task[None] | None:
        """Call the hooks. None: all is done; else what to wait for."""
        hooks = self.table.get(name, ())
        for number, hook in enumerate(hooks, 1):
            try:
                waits = hook(flow)
            except exceptions.AddonHalt:
                break
            except Exception as error:
                _complain(name, hook, error)
                continue
            if inspect.isawaitable(waits):
                return self._begun(self._wait(name, hook, waits, hooks[number:], flow))
        return self._begun(flow.wait_for_resume()) if flow.intercepted else None

    def _begun(self, what: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _wait(
        self, name: str, hook: Hook, waits: Awaitable[None], others: Sequence[Hook], flow: HTTPFlow
    ) -> None:
        try:
            await _guarded(name, hook, waits)
            for other in others:
                await _called(name, other, flow)
        except exceptions.AddonHalt:
            pass
        await flow.wait_for_resume()

    def tell(self, what: str) -> None:
        """Something that scripts ask for and don't get. Said once: it may be so for each request."""
        if what not in self._told:
            self._told.add(what)
            log.warning("a script's wish is not followed: %s", what)


def _hooks(addons: Iterable[Any], name: str) -> Iterable[Hook]:
    for addon in addons:
        hook = getattr(addon, name, None)
        if callable(hook) and not isinstance(hook, ModuleType):  # as `from mitmproxy import …` leaves them
            yield hook


async def _called(name: str, hook: Hook, flow: HTTPFlow) -> None:
    try:
        waits = hook(flow)
    except exceptions.AddonHalt:
        raise
    except Exception as error:
        _complain(name, hook, error)
        return
    if inspect.isawaitable(waits):
        await _guarded(name, hook, waits)


async def _guarded(name: str, hook: Hook, waits: Awaitable[None]) -> None:
    try:
        await waits
    except exceptions.AddonHalt:
        raise
    except Exception as error:
        _complain(name, hook, error)


def _complain(name: str, hook: Hook, error: Exception) -> None:
    """Where it went wrong, and not what the exception says: that may quote what a client sent."""
    frames = traceback.extract_tb(error.__traceback__)
    code = getattr(hook, "__code__", None)
    own = [frame for frame in frames if code is not None and frame.filename == code.co_filename]
    where = next((f"{frame.filename}:{frame.lineno}" for frame in reversed(own or frames)), "?")
    module = getattr(hook, "__module__", None) or type(hook).__name__
    log.error("script %s: %s raised %s at %s", module, name, type(error).__name__, where)
