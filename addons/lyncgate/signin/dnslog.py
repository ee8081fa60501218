"""A DNS server's log of queries as events, a line each. Two forms are read:

    {"time": 1789.2, "view": "external", "client": "192.0.2.7:50123", "transport": "udp",
     "name": "lyncdiscover.contoso.example", "kind": "A", "rcode": "NOERROR", "answers": ["CNAME …", "A …"],
     "seconds": 0.0004}

    [1789000000] unbound[52:0] info: 192.0.2.7 lyncdiscover.contoso.example. A IN NOERROR 0.012 0 62

The first is the lab's; `time`, `name` and `kind` must be there, and `rcode` null means that no answer came.
The second is unbound's with `log-replies: yes` and `log-time-ascii: no`: it does not say what was
answered. Everything else is passed over, also logs whose times have no year (dnsmasq).
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator

from lyncgate.signin.events import TEXT_LIMIT, DnsQuery
from lyncgate.signin.keys import Hasher, Keys
from lyncgate.signin.plain import plain

ANSWERS = 24  # of a query that an event keeps
LONGEST = 64 * 1024  # characters of a line
_NAME = 255
_SHORT = 32
_LONGEST_ANSWER = 86_400  # seconds
_LAST = 253402300799  # Unix seconds, the end of the year 9999
_UNBOUND = re.compile(
    r"\[(\d{1,12}(?:\.\d{1,9})?)\]\s+unbound\[[\d:]*\]\s+(?:info|reply):\s+(\S+)\s+(\S+)\s+(\w+)\s+IN"
    r"\s+(\w+)\s+(\d{1,6}(?:\.\d{1,9})?)\s+[01]\s+\d+",
    re.ASCII,
)


class DnsLogReader:
    """Reads one log. `server`: whose, for the events' ids; equal lines of one server are one event."""

    def __init__(self, hasher: Hasher, server: str = "") -> None:
        self._hasher = hasher
        self._server = server

    def line(self, line: str) -> Iterator[DnsQuery]:
        """The query of a line, if there is one in it."""
        line = line.strip()
        if len(line) > LONGEST:
            return
        if line.startswith("{"):
            query = self._lab(line)
        elif match := _UNBOUND.fullmatch(line):
            query = self._unbound(line, match)
        else:
            query = None
        if query is not None:
            yield query

    def end(self) -> Iterator[DnsQuery]:
        """Nothing: a line is all of it."""
        return iter(())

    def _lab(self, line: str) -> DnsQuery | None:
        try:
            said = json.loads(line)
        except (ValueError, RecursionError):
            return None
        time, name, kind = said.get("time"), said.get("name"), said.get("kind")
        if not (isinstance(time, int | float) and isinstance(name, str) and isinstance(kind, str)):
            return None
        if isinstance(time, bool) or not 0 <= time <= _LAST:  # NaN is in no range
            return None
        answers = said.get("answers")
        given = answers if isinstance(answers, list) else []
        return DnsQuery(
            id=self._id(line),
            started=float(time),
            keys=Keys(client=_client(said.get("client"))),
            seconds=_seconds(said.get("seconds")),
            name=_name(name),
            kind=plain(kind, _SHORT),
            rcode=_word(said.get("rcode")),
            answers=tuple(plain(one, TEXT_LIMIT) for one in given[:ANSWERS] if isinstance(one, str)),
            view=_word(said.get("view")),
        )

    def _unbound(self, line: str, match: re.Match[str]) -> DnsQuery:
        """The line is written when the answer is sent."""
        when, client, name, kind, rcode, took = match.groups()
        return DnsQuery(
            id=self._id(line),
            started=max(0.0, float(when) - float(took)),
            keys=Keys(client=_client(client)),
            seconds=float(took),
            name=_name(name),
            kind=plain(kind, _SHORT),
            rcode=plain(rcode, _SHORT),
        )

    def _id(self, line: str) -> str:
        return self._hasher(f"dns\n{self._server}\n{line}".encode("utf-8", "surrogatepass"))


def _name(name: str) -> str:
    return plain(name.lower().rstrip("."), _NAME)


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < _LONGEST_ANSWER else None


def _word(value: object) -> str | None:
    return plain(value, _SHORT) or None if isinstance(value, str) else None


def _client(value: object) -> str | None:
    """An address, also one with a port: `192.0.2.7:53`, `[2001:db8::7]:53`."""
    if not isinstance(value, str):
        return None
    for text in (value, value.rpartition(":")[0].strip("[]")):
        try:
            return str(ipaddress.ip_address(text))
        except ValueError:
            continue
    return None
