"""What kind of file it is, by how it begins."""

from __future__ import annotations

import codecs
import enum
import re
from pathlib import Path

HEAD = 256 * 1024  # bytes that are looked at
_BOMS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_FLOW = re.compile(rb"\d{1,12}:\d{1,12}:[a-z_]+[;,]")  # a dictionary of strings
_HAR = re.compile(r'\s*\{\s*"log"\s*:\s*\{')
_DNS_LINE = re.compile(r'^\s*\{.*"time"\s*:.*\}\s*$|^\[\d+(?:\.\d+)?\]\s+unbound\[', re.MULTILINE)
_TRACE = re.compile(r"^TL_\w+\(TF_\w+\)", re.MULTILINE)

# Files that people have, and what to do with them.
_OTHERS = (
    (
        (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\x0a\x0d\x0d\x0a"),
        "packets (pcap); capture with lyncgate capture or mitmproxy instead: TLS hides the rest",
    ),
    (
        (b"PK\x03\x04",),
        "a ZIP archive; of Fiddler (.saz), export a HAR (File, Export Sessions, HTTPArchive v1.2)",
    ),
    ((b"\x1f\x8b",), "compressed with gzip; gunzip it first"),
    (
        (b"ETL",),
        "an event trace log (.etl); have OCSLogger or Search-CsClsLogging make text of it",
    ),
    ((b"SQLite format 3\x00",), "a journal, most likely; lyncgate signins --journal reads those"),
)


class SourceError(ValueError):
    """Nothing in the file can be read; says which file, and why."""


class Form(enum.Enum):
    FLOWS = "mitmproxy's flows"
    HAR = "HAR"
    DNS_LOG = "log of a DNS server"
    TRACE = "trace of a front end"
    NOTHING = "empty"  # as the trace of a server that saw nobody


def form_of(path: Path) -> Form:
    """Raises SourceError for what is none of them, and OSError."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head.strip(b"\0 \r\n\t"):
        return Form.NOTHING
    if _FLOW.match(head):
        return Form.FLOWS
    text = head.decode(encoding_of(head), "replace").lstrip("\ufeff")
    if _HAR.match(text) or (text.lstrip().startswith("{") and '"entries"' in text):
        return Form.HAR
    if _DNS_LINE.search(text):
        return Form.DNS_LOG
    if _TRACE.search(text):
        return Form.TRACE
    for starts, what in _OTHERS:
        if head.startswith(starts):
            raise SourceError(f"{path}: {what}")
    raise SourceError(
        f"{path}: neither a HAR, nor mitmproxy's flows, nor a log of a DNS server, nor a trace of a front end"
    )


def encoding_of(head: bytes) -> str:
    """UTF-8 or UTF-16, by its mark or, for want of one, by where the zeros are: Windows' tools write both."""
    if head.startswith(_BOMS[0]):
        return "utf-8-sig"
    if head.startswith(_BOMS[1:]):
        return "utf-16"
    sample = head[:4096]
    if len(sample) >= 4 and sample.count(0) > len(sample) // 4:
        return "utf-16-le" if sample[1::2].count(0) >= sample[::2].count(0) else "utf-16-be"
    return "utf-8"
