"""A repair, in memory, without which Debian 12's SIPE understands no XML at all.

SIPE parses with a SAX handler of its own, a static structure that announces version 2 of the interface
(`initialized` is XML_SAX2_MAGIC) yet fills in the version 1 call-backs only.  Debian 12's libxml2 2.9.14
takes the announcement at its word, finds no version 2 call-backs, and calls nobody: for SIPE 1.25.0 every
document is empty, and auto-discovery fails on answers that are in order.

So we ask SIPE to parse one element.  Where it cannot, and only there, we look for that handler in the
library's writable memory and set `initialized` to 1, as a version 1 handler says it.  No file changes, and no
other part of the client.  On a Debian where the two agree, this module does nothing.
"""

import ctypes
from collections.abc import Iterator
from ctypes import Structure, c_char_p, c_size_t, c_uint, c_void_p
from dataclasses import dataclass
from pathlib import Path

from .journal import Journal
from .outcome import RunError, Status

_SAX1 = 1
_SAX2_MAGIC = 0xDEEDBEAF
_PROBE = b"<probe/>"


class SaxHandler(Structure):
    """xmlSAXHandler of libxml2's parser.h, the unused call-backs taken together."""

    _fields_ = [
        ("before_elements", c_void_p * 14),
        ("start_element", c_void_p),
        ("end_element", c_void_p),
        ("reference", c_void_p),
        ("characters", c_void_p),
        ("after_characters", c_void_p * 9),
        ("initialized", c_uint),
        ("private", c_void_p),
        ("start_element_ns", c_void_p),
        ("end_element_ns", c_void_p),
        ("structured_error", c_void_p),
    ]


@dataclass(frozen=True)
class Span:
    """A mapped piece of the library: its addresses, and whether it can be written to."""

    start: int
    end: int
    writable: bool


def repair(library: Path, journal: Journal) -> None:
    """Make SIPE's XML parser work, if it does not.  `library` is libsipe.so, already loaded."""
    sipe = ctypes.CDLL(str(library))
    sipe.sipe_xml_parse.restype, sipe.sipe_xml_parse.argtypes = c_void_p, (c_char_p, c_size_t)
    if sipe.sipe_xml_parse(_PROBE, len(_PROBE)):
        return
    for handler in _handlers(_spans(library)):
        handler.initialized = _SAX1
    if not sipe.sipe_xml_parse(_PROBE, len(_PROBE)):
        raise RunError(
            Status.MISSING, "SIPE parses no XML with this libxml2, and its SAX handler was not found"
        )
    journal.log(
        "driver", "SIPE parsed no XML with this libxml2; with its SAX handler set to version 1 it does"
    )


def _handlers(spans: list[Span]) -> Iterator[SaxHandler]:
    """Every SAX handler in the library's data that announces version 2 and has version 1 call-backs."""
    magic = _SAX2_MAGIC.to_bytes(4, "little")
    for span in spans:
        if not span.writable:
            continue
        content = ctypes.string_at(span.start, span.end - span.start)
        at = content.find(magic)
        while at >= 0:
            start = at - SaxHandler.initialized.offset
            if start >= 0 and start + ctypes.sizeof(SaxHandler) <= len(content):
                handler = SaxHandler.from_address(span.start + start)
                if _is_version_1(handler, spans):
                    yield handler
            at = content.find(magic, at + 1)


def _is_version_1(handler: SaxHandler, spans: list[Span]) -> bool:
    called = (handler.start_element, handler.end_element, handler.characters)
    in_library = all(any(span.start <= (address or 0) < span.end for span in spans) for address in called)
    return in_library and not (handler.start_element_ns or handler.end_element_ns)


def _spans(library: Path) -> list[Span]:
    """Where `library` is mapped, from /proc/self/maps: `start-end perms offset device inode path`."""
    spans = []
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        addresses, permissions, *_, path = line.split(maxsplit=5)
        if path == str(library):
            start, end = (int(address, 16) for address in addresses.split("-"))
            spans.append(Span(start, end, "w" in permissions))
    return spans
