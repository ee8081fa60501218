"""The text of a server's trace, as OCSLogger (2010) and CLS (2013 and later) show it, as records.

Three kinds of record (protocol reference §12), each begun by a line of the same form:

    TL_INFO(TF_PROTOCOL) [0]0A10.1B2C::12/09/2011-06:32:14.101.0000a4f1 (SIPStack,…)$$begin_record
    Direction: incoming
    …                                                       a SIP message, after it its body
    $$end_record
    TL_ERROR(TF_DIAG) [pool01\\fe01]0A10.1B2C::… (SIPStack,…) [1234567] $$begin_record
    Severity: error                                         what went wrong with one
    …
    $$end_record
    TL_INFO(TF_COMPONENT) [0]0860.0CDC::… (MCXService,…)( 0000…28FD70 ) free text

Whatever is between records is passed over, and so is a record that is cut off in its head. The times'
zone is not told and not known: they are read as UTC, and `signin.clocks` finds out how far that is off.
Tolerated, since pasted traces have it: no `$$begin_record`, no `$$end_record`, blank lines, blanks at a
line's end, carriage returns. A line of a body that is moved in by a blank begins and ends nothing.
Encodings and byte order marks are the caller's.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Iterable, Iterator

LONGEST_RECORD = 512 * 1024  # characters; what is beyond is passed over
LONGEST_FIELD = 16 * 1024  # characters of a line that is not of a body
FIELDS = 256  # header fields of a record

_HEADER = re.compile(
    r"(?P<level>TL_\w+)\((?P<flag>TF_\w+)\)\s*\[(?P<context>[^\]]*)\]\s*"
    r"(?P<process>[0-9A-Fa-f]+)\.(?P<thread>[0-9A-Fa-f]+)::"
    r"(?P<month>\d\d)/(?P<day>\d\d)/(?P<year>\d{4})-(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
    r"(?:\.(?P<fraction>\d{1,7}))?(?:\.(?P<sequence>[0-9A-Fa-f]+))?\s+"
    r"\((?P<component>[^,()]*),(?P<function>.{1,200}?):(?P<file>[^:()]*)\((?P<line>\d*)\)\)",
    re.ASCII,
)
_CORRELATION = re.compile(r"\s*\[(\d+)\]\s*")
_POINTER = re.compile(r"\s*\(\s*[0-9A-Fa-f]{4,16}\s*\)\s*")
_FIELD = re.compile(r"\s*([\w.$-]{1,64})\s*:\s?(.*)", re.DOTALL)
_RESULT = re.compile(r"\b(0x[89A-Fa-f][0-9A-Fa-f]{7})\s*(?:\(\s*(\w+)\s*\)|\b([A-Z]\w*_[A-Z]_\w+))?")
_BEGIN = "$$begin_record"
_END = "$$end_record"
_RECORDS = ("TF_PROTOCOL", "TF_DIAG")

type Fields = tuple[tuple[str, str], ...]  # (name in lower case, value), in their order


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """`fields`: of a protocol or diagnostic record, the tool's own and the SIP header's.

    `head`: the header line up to the text, the same for no two records of a server, as it holds time and
    sequence number. `whole`: False when it was cut off before its end marker.
    """

    head: str
    level: str  # TL_INFO …
    flag: str  # TF_PROTOCOL, TF_DIAG, TF_COMPONENT …
    context: str  # number of a processor (2010), or `pool\server` (2013 and later)
    time: float  # Unix seconds, if the trace was written in UTC
    component: str
    function: str
    text: str = ""  # of a component line, with the lines that follow it
    fields: Fields = ()
    body: str = ""  # of a SIP message; "" for none
    whole: bool = True

    def field(self, name: str) -> str | None:
        """The first value of a field; `name` in lower case. None: not there."""
        return next((value for known, value in self.fields if known == name), None)

    @property
    def server(self) -> str | None:
        """The server that wrote it, where the record says so (2013 and later), in lower case."""
        _, backslash, server = self.context.rpartition("\\")
        return server.strip().lower() or None if backslash else None

    @property
    def result(self) -> str | None:
        """The failure that the record tells: `0xC3E93C5E(SIPPROXY_E_ROUTING)`."""
        match = _RESULT.search(self.field("result-code") or self.field("text") or self.text)
        if match is None:
            return None
        symbol = match[2] or match[3]
        return f"{match[1]}({symbol})" if symbol else match[1]


class TraceParser:
    """Makes records of lines, one after the other, so that a file can be read while it grows.

    parser = TraceParser()
    for line in lines:                # with or without their ends
        if record := parser.line(line): …
    if record := parser.end(): …      # a component line is over when another record begins, or here
    """

    def __init__(self) -> None:
        self._match: re.Match[str] | None = None
        self._lines: list[str] = []
        self._size = 0

    def line(self, line: str) -> Record | None:
        """The record that this line ends, if it ends one."""
        line = line.rstrip("\r\n")
        if line.startswith("TL_") and (match := _HEADER.match(line)):
            before = self.end()
            self._match, self._lines, self._size = match, [line[match.end() :]], len(line)
            return before
        if self._match is None:
            return None
        if line.rstrip() == _END:
            return self._finish(whole=True)
        self._size += len(line)
        if self._size <= LONGEST_RECORD:
            self._lines.append(line)
        return None

    def end(self) -> Record | None:
        """The record that is not over yet, if there is one: nothing more comes of it."""
        whole = self._match is not None and self._match["flag"] not in _RECORDS and not self._is_record()
        return self._finish(whole=whole)

    def _is_record(self) -> bool:
        return bool(self._lines) and self._lines[0].rstrip().endswith(_BEGIN)

    def _finish(self, *, whole: bool) -> Record | None:
        match, self._match = self._match, None
        if match is None:
            return None
        lines, self._lines = self._lines, []
        time = _time(match)
        return None if time is None else _record(match, time, lines, whole)


def records(lines: Iterable[str]) -> Iterator[Record]:
    """The records of a whole file."""
    parser = TraceParser()
    for line in lines:
        if record := parser.line(line):
            yield record
    if record := parser.end():
        yield record


def _time(head: re.Match[str]) -> float | None:
    """None: there is no such day or hour."""
    parts = [int(head[name]) for name in ("year", "month", "day", "hour", "minute", "second")]
    try:
        moment = datetime.datetime(*parts, tzinfo=datetime.UTC)  # type: ignore[arg-type, misc]
    except ValueError:
        return None
    return moment.timestamp() + float(f"0.{head['fraction'] or 0}")


def _record(head: re.Match[str], time: float, lines: list[str], whole: bool) -> Record:
    rest = lines[0]
    correlation = _CORRELATION.match(rest)
    rest = rest[correlation.end() :] if correlation else rest
    record = Record(
        head=head[0].strip(),
        level=head["level"],
        flag=head["flag"],
        context=head["context"].strip(),
        time=time,
        component=head["component"].strip(),
        function=head["function"].strip(),
        whole=whole,
    )
    begins = rest.strip().endswith(_BEGIN)
    if not (begins or head["flag"] in _RECORDS):
        pointer = _POINTER.match(rest)
        text = "\n".join([rest[pointer.end() :] if pointer else rest, *lines[1:]])
        return dataclasses.replace(record, text=text.strip())
    written = lines[1:] if begins else [rest, *lines[1:]]
    fields, body = _fields(written)
    if correlation:
        fields.insert(0, ("trace-correlation-id", correlation[1]))
    return dataclasses.replace(record, fields=tuple(fields), body=body)


def _fields(lines: list[str]) -> tuple[list[tuple[str, str]], str]:
    """Header fields, and the body: everything behind `Message-Body:`, `-` for none. A header's line that
    begins with a blank goes on with the one before (RFC 3261 §7.3.1)."""
    fields: list[tuple[str, str]] = []
    for number, line in enumerate(lines):
        if line[:1] in " \t" and fields and line.strip():
            name, value = fields[-1]
            fields[-1] = (name, f"{value} {line.strip()}"[:LONGEST_FIELD])
            continue
        match = _FIELD.match(line)
        if match is None:
            continue
        name, value = match[1].lower(), match[2]
        if name == "message-body":
            body = "\n".join([value, *lines[number + 1 :]])
            return fields, "" if body.strip() == "-" else body
        if len(fields) < FIELDS:
            fields.append((name, value.strip()[:LONGEST_FIELD]))
    return fields, ""
