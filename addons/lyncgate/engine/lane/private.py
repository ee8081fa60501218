"""The connections to members that a client has logged on to, or may have. NTLM and Negotiate authenticate a
connection (protocol reference §3.3): it is this client's for good, and closed with the client's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lyncgate.engine.lane.upstream import Destination, Upstream


class Private:
    """Of one client, between its exchanges."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[Destination, Upstream] = {}

    def __iter__(self) -> Iterator[Upstream]:
        return iter(tuple(self._kept.values()))

    def take(self, to: Destination) -> Upstream | None:
        """For an exchange. None: there is none, or the member has closed it."""
        upstream = self._kept.get(to)
        if upstream is not None and upstream.stream is not None and upstream.stream.stale():
            upstream.close()
            self.forget(upstream)
            return None
        return upstream if upstream is not None and not upstream.closed else None

    def reaches(self, pool: str, host: str) -> bool:
        """Whether one of them goes to this member."""
        for to in self._kept:  # noqa: SIM110 (as `MemberState.up`)
            if to.pool == pool and to.host == host:
                return True
        return False

    def keep(self, upstream: Upstream) -> None:
        """An exchange is over."""
        upstream.relay = None
        self._kept[upstream.to] = upstream

    def forget(self, upstream: Upstream) -> None:
        """It has ended."""
        self._kept.pop(upstream.to, None)

    def close(self) -> None:
        for upstream in self:
            upstream.close()
        self._kept.clear()
