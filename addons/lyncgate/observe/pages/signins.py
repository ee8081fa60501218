"""The list of sign-ins, and the stream by which an open list stays up to date."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import tornado.iostream

from lyncgate.observe.journal.reader import Reader
from lyncgate.observe.journal.rows import SignInRow
from lyncgate.observe.pages.base import LOADER, NAMESPACE, Hosts, Page
from lyncgate.observe.pages.filters import Filter

ROWS = 100  # a page
EVERY = 1.0  # seconds between two looks at the journal
QUIET = 15.0  # seconds without a word, after which a line is sent to learn whether somebody listens
MOST_LISTENERS = 32


class _Listing(Page):
    here = "signins"

    @property
    def filter(self) -> Filter:
        return Filter.read({name: self.get_arguments(name) for name in self.request.arguments})

    async def rows(self, reader: Reader, filter_: Filter, limit: int = ROWS) -> tuple[int, list[SignInRow]]:
        """The journal's revision, and the rows that the filter leaves. Raises OSError."""

        def read() -> tuple[int, list[SignInRow]]:
            revision = reader.revision()  # first: what is written meanwhile is told again, not lost
            return revision, reader.list(
                limit=limit, before=filter_.before or None, **filter_.wanted(time.time())
            )

        return await asyncio.to_thread(read)


class ListPage(_Listing):
    async def get(self, *arguments: str) -> None:
        reader, filter_ = self.reader, self.filter
        values: dict[str, Any] = {"filter": filter_, "rows": [], "revision": 0, "older": "", "live": ""}
        try:
            values["revision"], rows = await self.rows(reader, filter_, ROWS + 1)
        except OSError as error:
            reason = str(error)
            await self.show("signins.html", lambda: values | {"trouble": f"{reason}."})
            return
        values["rows"] = rows[:ROWS]
        if len(rows) > ROWS:
            values["older"] = f"/signins?{filter_.arguments(rows[ROWS - 1].cursor)}"
        if not filter_.before:  # older pages are past: nothing new comes there
            values["live"] = f"/signins/live?{filter_.arguments()}"
        await self.show("signins.html", lambda: values | {"trouble": ""})


class LivePage(_Listing):
    """Server-sent events. Each has the ids that the list now shows, in order, and the rows among them that
    are newer than what the page has (`revision`), as HTML."""

    _gone = False

    def initialize(
        self, reader: Callable[[], Reader], hosts: Hosts, listeners: set[object] | None = None
    ) -> None:
        super().initialize(reader, hosts)
        self._listeners = set() if listeners is None else listeners  # of all such streams of these pages

    async def head(self, *arguments: str) -> None:
        self.set_header("Content-Type", "text/event-stream")
        self.finish()

    async def get(self, *arguments: str) -> None:
        reader = self.reader
        if len(self._listeners) >= MOST_LISTENERS:
            self.set_status(503)
            self.finish()
            return
        self.set_header("Content-Type", "text/event-stream")
        self._listeners.add(self)
        try:
            await self._stream(reader, self.filter, self._from())
        except (OSError, tornado.iostream.StreamClosedError, asyncio.CancelledError):
            pass  # the journal, the listener or the loop is gone: a browser that is still there asks again
        finally:
            self._listeners.discard(self)

    def _from(self) -> int:
        given = self.request.headers.get("Last-Event-ID") or self.get_argument("revision", "0")
        return int(given) if given.isascii() and given.isdigit() and len(given) < 16 else 0

    async def _stream(self, reader: Reader, filter_: Filter, known: int) -> None:
        seen, silent = -1, 0.0
        while not self._gone:
            revision = await asyncio.to_thread(reader.revision)
            if revision != seen:
                seen, rows = await self.rows(reader, filter_)
                said = await asyncio.to_thread(_news, rows, known)
                self.write(f"id: {seen}\ndata: {said}\n\n")
                known, silent = seen, 0.0
            elif silent >= QUIET:
                self.write(": still here\n\n")
                silent = 0.0
            await self.flush()
            await asyncio.sleep(EVERY)
            silent += EVERY

    def on_connection_close(self) -> None:
        self._gone = True


def _news(rows: list[SignInRow], known: int) -> str:
    template = LOADER.load("row.html")
    new = {row.id: template.generate(**NAMESPACE, row=row).decode() for row in rows if row.revision > known}
    return json.dumps({"ids": [row.id for row in rows], "rows": new})
