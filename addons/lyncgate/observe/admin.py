"""The admin listener: /metrics for Prometheus, /healthz and /readyz for whoever keeps the edge running,
and the pages about sign-ins (`observe.pages`) for whoever wants to know how those went.

On the edge's own event loop, at an address of its own (loopback unless rules.yaml says otherwise), so
that nothing of it is ever in reach of a public name. It reads, it changes nothing: GET and HEAD only.
"""

from __future__ import annotations

import asyncio
import dataclasses
import http
import json
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol

import tornado.httpserver
import tornado.netutil
import tornado.web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from lyncgate.observe.pages.site import Pages


@dataclasses.dataclass(frozen=True, slots=True)
class Readiness:
    """Whether new clients may be sent here. `reasons`: why not, a sentence each; `details`: what an
    operator wants to see beside it (listeners, pools and members), any JSON value."""

    ready: bool
    reasons: tuple[str, ...] = ()
    details: Mapping[str, object] = dataclasses.field(default_factory=dict)


class Scraped(Protocol):
    """What is asked at each /metrics."""

    async def scraped(self) -> CollectorRegistry: ...


Ready = Callable[[], Readiness | Awaitable[Readiness]]


class Admin:
    """`ready` is asked at each /readyz; `pages`: those about sign-ins. Start it on the running loop."""

    def __init__(self, metrics: Scraped, ready: Ready, pages: Pages | None = None) -> None:
        application = tornado.web.Application(
            [
                (r"/metrics", _MetricsPage, {"metrics": metrics}),
                (r"/healthz", _HealthPage),
                (r"/readyz", _ReadyPage, {"ready": ready}),
                *(pages.routes if pages else ()),
            ],
            default_handler_class=_Page,
            log_function=lambda handler: None,  # a scrape every 15 s is no news
        )
        self._server = tornado.httpserver.HTTPServer(
            application, idle_connection_timeout=60, max_header_size=16 * 1024, max_body_size=1024
        )

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port, which is a free one if `port` is 0. Raises OSError."""
        sockets = tornado.netutil.bind_sockets(port, host)
        self.start_on(sockets)
        bound: int = sockets[0].getsockname()[1]
        return bound

    def start_on(self, sockets: Iterable[socket.socket]) -> None:
        """Listen on sockets that somebody else made. They are closed with this."""
        self._server.add_sockets(sockets)

    async def stop(self) -> None:
        """Listen no more and close what is open."""
        self._server.stop()
        await self._server.close_all_connections()


class _Page(tornado.web.RequestHandler):
    """What all pages share. By itself it is the page for every path that there isn't."""

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.set_header("Cache-Control", "no-store")

    def compute_etag(self) -> None:
        """None: each page is news, there is nothing to compare."""

    def prepare(self) -> None:
        if self.request.method not in ("GET", "HEAD"):
            self.set_header("Allow", "GET, HEAD")
            self._status(http.HTTPStatus.METHOD_NOT_ALLOWED)

    async def get(self) -> None:
        self._status(http.HTTPStatus.NOT_FOUND)

    async def head(self) -> None:
        await self.get()  # tornado sends the length and leaves the body out

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self._status(http.HTTPStatus(status_code))

    def _status(self, status: http.HTTPStatus) -> None:
        self.set_status(status)
        self.finish(f"{status.phrase}\n")


class _HealthPage(_Page):
    async def get(self) -> None:
        self.finish("ok\n")


class _ReadyPage(_Page):
    def initialize(self, ready: Ready) -> None:
        self._ready = ready

    async def get(self) -> None:
        answer = self._ready()
        readiness = answer if isinstance(answer, Readiness) else await answer
        self.set_status(200 if readiness.ready else 503)
        self.set_header("Content-Type", "application/json")
        page = {"ready": readiness.ready, "reasons": readiness.reasons, "details": dict(readiness.details)}
        self.finish(json.dumps(page) + "\n")


class _MetricsPage(_Page):
    def initialize(self, metrics: Scraped) -> None:
        self._metrics = metrics

    async def get(self) -> None:
        encode, content_type = choose_encoder(self.request.headers.get("Accept", ""))
        # Tens of milliseconds with many series: not on the loop that serves phones.
        page = await asyncio.to_thread(encode, await self._metrics.scraped())
        self.set_header("Content-Type", content_type)
        self.finish(page)
