"""One client's connection and those to members that it leads to: mitmproxy's handler, made fit for an edge.

- A connect may take so long and no longer.
- A client is not read far ahead of the connect that its request waits for. mitmproxy keeps what comes
  meanwhile, all of it: a member that hangs would cost the memory of every upload.
- Who is cancelled at any moment, and twice, as by a close and by the client's leaving, still cleans up.
  mitmproxy would stop in the middle of that: its layers would not hear of the end, and the socket would stay
  open for good. So would an exchange whose answer was read, and waited for its turn to be told, when the
  reset behind it ended the task that had read it.
- A member that resets a connection as soon as it is there fails the connect. mitmproxy's task would stop at
  an assertion, that a connection has an address at its other end, and the client wait for good.
- No chatter: mitmproxy's messages below an error quote what peers sent, credentials included. What
  happened is in the records.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from mitmproxy.connection import Connection, ConnectionState, Server
from mitmproxy.proxy import commands, events, server_hooks
from mitmproxy.proxy.mode_servers import ProxyConnectionHandler

from lyncgate.edge.identity import MemberConnection

READ_AHEAD = 256 * 1024  # bytes taken from a client while its member is connected to


class EdgeConnectionHandler(ProxyConnectionHandler):
    connect_timeout = 5.0  # seconds, for TCP and for TLS each; set by the listener

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)  # type: ignore[no-untyped-call]  # mitmproxy does not type it
        self._opening: Server | None = None  # HTTP/1.1: one exchange at a time, so one connect
        self._open = asyncio.Event()
        self._ahead = 0  # bytes from the client since the connect began
        self._unanswered: set[commands.OpenConnection] = set()  # the layers wait for what came of them
        self._open_ones: set[Connection] = set()  # whose end the layers have yet to hear of

    async def open_connection(self, command: commands.OpenConnection) -> None:
        server = command.connection
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        timers: list[asyncio.TimerHandle] = []

        def give_up(*, tls_too: bool) -> None:
            if not isinstance(server, MemberConnection) or task is None or _established(server):
                return
            if server.timestamp_tcp_setup and tls_too:
                timers.append(loop.call_later(self.connect_timeout, lambda: give_up(tls_too=False)))
                return
            server.timed_out = True
            task.cancel("connect timeout")

        timers.append(loop.call_later(self.connect_timeout, lambda: give_up(tls_too=True)))
        self._opening, self._ahead = server, 0
        self._open.clear()
        self._unanswered.add(command)
        try:
            await super().open_connection(command)
        except (AssertionError, TypeError):  # the latter under -O
            if server.peername is not None or command not in self._unanswered:
                raise
            await self._gone_at_once(command)
        finally:
            self._unanswered.discard(command)
            for timer in timers:
                timer.cancel()
            if self._opening is server:
                self._go_on()
            await self._see_off(server)

    async def _gone_at_once(self, command: commands.OpenConnection) -> None:
        server = command.connection
        server.state, server.error, server.timestamp_end = ConnectionState.CLOSED, "reset", time.time()
        data = server_hooks.ServerConnectionHookData(client=self.client, server=server)
        await self.handle_hook(server_hooks.ServerConnectErrorHook(data))
        await self.server_event(events.OpenConnectionCompleted(command, server.error))

    def _go_on(self) -> None:
        self._opening = None
        self._open.set()

    async def server_event(self, event: events.Event) -> None:
        if isinstance(event, events.DataReceived) and event.connection is self.client:
            self._ahead += len(event.data)
        if isinstance(event, events.OpenConnectionCompleted):
            self._unanswered.discard(event.command)
            if event.reply is None:
                self._open_ones.add(event.command.connection)
        elif isinstance(event, events.ConnectionClosed):
            self._open_ones.discard(event.connection)
        if isinstance(event, (events.ConnectionEvent, events.OpenConnectionCompleted)):
            # It waits for its turn, in which time its task may be cancelled: it is told all the same.
            await asyncio.shield(super().server_event(event))
        else:
            await super().server_event(event)
        if self._opening is not None and _established(self._opening):
            self._go_on()

    async def handle_connection(self, connection: Connection) -> None:
        self._open_ones.add(connection)
        try:
            await super().handle_connection(connection)
        finally:
            await self._see_off(connection)

    async def _see_off(self, connection: Connection) -> None:
        """Nobody sees to this connection any more: close it, and tell the layers if they don't know."""
        transport = self.transports.get(connection)
        if transport is not None and isinstance(transport.writer, asyncio.StreamWriter):
            transport.writer.close()
            del self.transports[connection]
        if connection in self._open_ones:
            connection.state = ConnectionState.CLOSED
            await self.server_event(events.ConnectionClosed(connection))

    async def drain_writers(self) -> None:
        """mitmproxy's back-pressure: after each read, before the next."""
        await super().drain_writers()  # type: ignore[no-untyped-call]  # mitmproxy does not type it
        if self._opening is not None and self._ahead > READ_AHEAD and self._is_client_task():
            await self._open.wait()

    def _is_client_task(self) -> bool:
        transport = self.transports.get(self.client)
        return transport is not None and transport.handler is asyncio.current_task()

    def log(self, message: str, level: int = logging.INFO, exc_info: Any = None) -> None:
        if level >= logging.ERROR:
            super().log(message, level, exc_info)


def _established(server: Server) -> bool:
    return bool(server.timestamp_tls_setup if server.tls else server.timestamp_tcp_setup)
