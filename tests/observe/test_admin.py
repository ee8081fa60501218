"""The admin listener over real sockets: its three pages, and that it offers nothing else."""

from __future__ import annotations

import asyncio
import dataclasses
import http.client
import json
import subprocess
from collections.abc import Awaitable, Callable

import pytest

from lyncgate.observe.admin import Admin, Readiness
from observe.samples import exercised
from support.requirements import require


@dataclasses.dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


type Ask = Callable[..., Awaitable[Answer]]


def with_admin(test: Callable[[Ask], Awaitable[None]], ready: Callable[[], Readiness] | None = None) -> None:
    """Run `test` beside an admin listener; `ask(method, path, headers)` asks it from another thread."""

    async def main() -> None:
        admin = Admin(exercised(), ready or (lambda: Readiness(True)))
        port = await admin.start("127.0.0.1", 0)

        def request(method: str, path: str, headers: dict[str, str]) -> Answer:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
            connection.close()
            return answer

        async def ask(method: str, path: str, **headers: str) -> Answer:
            return await asyncio.to_thread(request, method, path, headers)

        await test(ask)
        await admin.stop()
        with pytest.raises(ConnectionRefusedError):
            await ask("GET", "/healthz")

    asyncio.run(main())


def test_a_scrape_satisfies_promtool() -> None:
    promtool = require("promtool", "prometheus")
    scrape: list[bytes] = []

    async def test(ask: Ask) -> None:
        page = await ask("GET", "/metrics")
        assert page.status == 200
        assert page.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert b'lyncgate_upstream_up{member="fe01",pool="pool01"} 1.0' in page.body
        scrape.append(page.body)

    with_admin(test)
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=scrape[0], capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


def test_openmetrics_for_those_who_ask() -> None:
    async def test(ask: Ask) -> None:
        page = await ask(
            "GET", "/metrics", Accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
        )
        assert page.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        assert page.body.endswith(b"# EOF\n")

    with_admin(test)


def test_ready_or_why_not() -> None:
    now = Readiness(True, details={"pools": {"pool01": ["fe01"]}})

    async def test(ask: Ask) -> None:
        nonlocal now
        page = await ask("GET", "/readyz")
        assert (page.status, page.headers["Content-Type"]) == (200, "application/json")
        assert json.loads(page.body) == {
            "ready": True,
            "reasons": [],
            "details": {"pools": {"pool01": ["fe01"]}},
        }
        now = Readiness(False, ("pool01: no member is up",))
        page = await ask("GET", "/readyz")
        assert page.status == 503
        assert json.loads(page.body) == {
            "ready": False,
            "reasons": ["pool01: no member is up"],
            "details": {},
        }

    with_admin(test, lambda: now)


def test_healthy_while_it_serves_even_when_not_ready() -> None:
    async def test(ask: Ask) -> None:
        page = await ask("GET", "/healthz")
        assert (page.status, page.body) == (200, b"ok\n")

    with_admin(test, lambda: Readiness(False, ("draining",)))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/metrics/", 404),
        ("GET", "/readyz/../metrics", 404),
        ("HEAD", "/nothing", 404),
        ("POST", "/metrics", 405),
        ("PUT", "/nothing", 405),
        ("DELETE", "/readyz", 405),
        ("OPTIONS", "/healthz", 405),
        ("GET", "/healthz", 200),
        ("HEAD", "/metrics", 200),
    ],
)
def test_nothing_else_and_no_word_of_what_it_runs_on(method: str, path: str, status: int) -> None:
    async def test(ask: Ask) -> None:
        page = await ask(method, path)
        assert page.status == status
        assert not {"Server", "Etag"} & set(page.headers)
        assert b"ornado" not in page.body + str(page.headers).encode()
        if method == "HEAD":
            assert page.body == b""
        if status == 405:
            assert page.headers["Allow"] == "GET, HEAD"

    with_admin(test)


def test_a_failing_answer_shows_no_traceback() -> None:
    def broken() -> Readiness:
        raise ValueError("internal")

    async def test(ask: Ask) -> None:
        page = await ask("GET", "/readyz")
        assert (page.status, page.body) == (500, b"Internal Server Error\n")
        assert "Server" not in page.headers

    with_admin(test, broken)


def test_a_port_in_use_is_the_callers_to_know() -> None:
    async def main() -> None:
        first, second = (Admin(exercised(), lambda: Readiness(True)) for _ in range(2))
        port = await first.start("127.0.0.1", 0)
        with pytest.raises(OSError, match="in use"):
            await second.start("127.0.0.1", port)
        await first.stop()

    asyncio.run(main())
