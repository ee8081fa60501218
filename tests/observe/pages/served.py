"""The admin listener with pages, on a thread of its own, for tests that ask from outside."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import http.client
import threading
from collections.abc import Callable, Iterator, Sequence

from lyncgate.observe.admin import Admin, Readiness
from lyncgate.observe.journal.reader import Reader
from lyncgate.observe.metrics import Metrics
from lyncgate.observe.pages.site import Pages


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    text: str


@dataclasses.dataclass(frozen=True)
class Served:
    """Pages that are served. `url`: without a path."""

    port: int
    reader: Callable[[], Reader]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read().decode())

    @contextlib.contextmanager
    def stream(self, path: str) -> Iterator[http.client.HTTPResponse]:
        """An answer that does not end by itself."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            connection.request("GET", path)
            yield connection.getresponse()


@contextlib.contextmanager
def served(reader: Callable[[], Reader], hosts: Sequence[str] = ()) -> Iterator[Served]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="admin")
    thread.start()

    def run[T](work: Callable[[], object]) -> T:
        return asyncio.run_coroutine_threadsafe(work(), loop).result(20)  # type: ignore[arg-type, return-value]

    try:

        async def make() -> Admin:
            return Admin(Metrics(), lambda: Readiness(True), Pages(reader, lambda: hosts))

        admin: Admin = run(make)
        port: int = run(lambda: admin.start("127.0.0.1", 0))
        yield Served(port, reader)
        run(admin.stop)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()
