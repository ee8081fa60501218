"""Records, and the answer to a question (RFC 1034 §4.3.2, RFC 2308 for the negative ones). Pure.

    zone = Zone(("contoso.example",), (Record("sip.contoso.example", "A", "127.0.0.31"),))
    zone.answer("sip.contoso.example", "A").rcode      # "NOERROR"

A `Zone` stands for everything one server is authoritative for, so it has several origins; an alias that
leads from one of them into another is followed, as a server that holds both does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

TTL = 3600  # seconds
NEGATIVE_TTL = 60  # seconds: how long "no such name" may be kept (SOA minimum, RFC 2308 §5)
MAX_ALIASES = 8


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """One record. `name`: lower case, no dot at its end. `data`: as a zone file has it."""

    name: str
    kind: str
    data: str
    ttl: int = TTL

    @property
    def line(self) -> str:
        """The line of a zone file."""
        data = self.data if self.kind == "A" else f"{self.data}."
        return f"{self.name}. {self.ttl} IN {self.kind} {data}"


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """`rcode`: NOERROR, NXDOMAIN or REFUSED (not our zone). `origin`: the zone whose SOA goes with a
    negative answer, None when there are records or nothing is ours."""

    rcode: str
    records: tuple[Record, ...] = ()
    origin: str | None = None


class Zone:
    """`origins`: the zones' names; `records`: all of them."""

    def __init__(self, origins: Iterable[str], records: Iterable[Record]) -> None:
        self.origins = tuple(sorted(origins, key=len, reverse=True))
        self.records = tuple(records)
        self._by_name: dict[str, list[Record]] = {}
        for record in self.records:
            self._by_name.setdefault(record.name, []).append(record)

    def answer(self, name: str, kind: str) -> Answer:
        """The answer to a question; `kind` is a type's name, ANY included."""
        name = name.lower().rstrip(".")
        found: tuple[Record, ...] = ()
        origin = self._origin(name)
        if origin is None:
            return Answer("REFUSED")
        for _ in range(MAX_ALIASES):
            here = self._by_name.get(name, [])
            if matching := tuple(r for r in here if kind in (r.kind, "ANY")):
                return Answer("NOERROR", (*found, *matching))
            alias = next((r for r in here if r.kind == "CNAME"), None)
            if alias is None:
                break
            found, name = (*found, alias), alias.data
            origin = self._origin(name)
            if origin is None:  # leads elsewhere: whoever asked has to go on there
                return Answer("NOERROR", found)
        return Answer("NOERROR" if self._exists(name) else "NXDOMAIN", found, origin)

    def _origin(self, name: str) -> str | None:
        return next((o for o in self.origins if name == o or name.endswith(f".{o}")), None)

    def _exists(self, name: str) -> bool:
        """Whether there is anything at or below the name: `_tcp.contoso.example` exists by its children."""
        return name in self.origins or any(n == name or n.endswith(f".{name}") for n in self._by_name)
