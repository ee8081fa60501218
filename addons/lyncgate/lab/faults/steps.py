"""Steps: what a fault does with a request, between who asks and who serves.

    async def step(call, serve):            # serve(call) is what would happen without the fault
        answer = await serve(call)
        ...
        return answer

The same steps work in a web site of the pool, where the call is a `Call`, and in the bad proxy, where it is a
`Passing`: both say `host`, `path`, `secure` and `request`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from lyncgate.lab.call import page
from lyncgate.lab.web import Request, Response

type Serve[C] = Callable[[C], Awaitable[Response]]
type Step[C] = Callable[[C, Serve[C]], Awaitable[Response]]


class Asked(Protocol):
    """What steps look at. `host` and `path` in lower case."""

    @property
    def request(self) -> Request: ...
    @property
    def host(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def secure(self) -> bool: ...


def chain[C](steps: Iterable[Step[C]], serve: Serve[C]) -> Serve[C]:
    """`serve` with all steps before it, the first outermost; without steps, `serve` itself."""
    for step in reversed(tuple(steps)):
        serve = _before(step, serve)
    return serve


def _before[C](step: Step[C], serve: Serve[C]) -> Serve[C]:
    async def stepped(call: C) -> Response:
        return await step(call, serve)

    return stepped


def on[C: Asked](where: Callable[[C], bool], step: Step[C]) -> Step[C]:
    """The step where `where` says so, nothing elsewhere."""

    async def stepped(call: C, serve: Serve[C]) -> Response:
        return await (step(call, serve) if where(call) else serve(call))

    return stepped


def instead[C](answer: Callable[[C], Response]) -> Step[C]:
    """`answer(call)`, and nobody is asked. The request's body is left to the server."""

    async def stepped(call: C, _serve: Serve[C]) -> Response:
        return answer(call)

    return stepped


def afterwards[C](change: Callable[[C, Response], Response]) -> Step[C]:
    """The answer, changed."""

    async def stepped(call: C, serve: Serve[C]) -> Response:
        return change(call, await serve(call))

    return stepped


def beforehand[C](change: Callable[[C], C]) -> Step[C]:
    """The request goes on changed."""

    async def stepped(call: C, serve: Serve[C]) -> Response:
        return await serve(change(call))

    return stepped


# where

MOBILITY = ("/ucwa", "/mcx")


def under(*prefixes: str) -> Callable[[Asked], bool]:
    """Paths, in lower case, and what lies below them."""
    return lambda call: any(call.path == prefix or call.path.startswith(f"{prefix}/") for prefix in prefixes)


def discovering(call: Asked) -> bool:
    """Requests to a lyncdiscover name."""
    return call.host.startswith("lyncdiscover.")


def with_bearer(call: Asked) -> bool:
    """Requests with an OAuth token."""
    return (call.request.header("authorization") or "").lower().startswith("bearer ")


# what


def error(status: int, title: str) -> Callable[[Asked], Response]:
    """An HTML error page: what a proxy or IIS sends, and never UCWA (protocol reference §6.5)."""
    return lambda _call: page(status, f"{status} - {title}")


def without(response: Response, *names: str) -> Response:
    """The response without these header fields (lower case)."""
    response.headers = [field for field in response.headers if field[0].lower() not in names]
    return response
