"""Choosing a representation by an Accept field (RFC 9110 §12.5.1).

choose(b"text/xml, application/json;q=0.5", ("application/xml", "application/json"))
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_LONGEST = 1024  # bytes that are looked at; real clients send under 200
_ELEMENT = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')
_PARAMETER = re.compile(r';\s*([^\s;="]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;"]*)')
_QVALUE = re.compile(r"0(?:\.\d{0,3})?|1(?:\.0{0,3})?")

type MediaType = tuple[str, str, frozenset[tuple[str, str]]]  # type, subtype, parameters


def choose(accept: bytes | None, offers: Sequence[str]) -> str:
    """The one of `offers` (media types, best first) that `accept` likes most.

    No Accept gets the first offer, and so does one that fits nothing: whoever asks for discovery is
    better served by any document than by a 406. So does a browser, known by its wish for text/html,
    whatever it thinks of XML (protocol reference §2.1).
    """
    ranges = _ranges((accept or b"")[:_LONGEST].decode("latin-1").lower())
    if any(media[:2] == ("text", "html") and quality > 0 for media, quality in ranges):
        return offers[0]
    best, chosen = 0.0, offers[0]
    for offer in offers:
        quality = _quality(_media_type(offer), ranges)
        if quality > best:
            best, chosen = quality, offer
    return chosen


def _ranges(accept: str) -> list[tuple[MediaType, float]]:
    """The media ranges of an Accept field with their weights; what can't be understood is left out."""
    ranges = []
    for element in _ELEMENT.findall(accept):
        kind, subtype, parameters = _media_type(element)
        weights = [value for name, value in parameters if name == "q"]
        if subtype and all(_QVALUE.fullmatch(weight) for weight in weights):
            media = kind, subtype, frozenset(pair for pair in parameters if pair[0] != "q")
            ranges.append((media, float(weights[0]) if weights else 1.0))
    return ranges


def _media_type(text: str) -> MediaType:
    essence, _, _ = text.partition(";")
    kind, _, subtype = essence.strip().partition("/")
    parameters = frozenset((name, value.strip('"')) for name, value in _PARAMETER.findall(text))
    return kind, subtype, parameters


def _quality(offer: MediaType, ranges: list[tuple[MediaType, float]]) -> float:
    """The weight of the most specific range that has `offer`; 0: none has."""
    best, quality = -1, 0.0
    for (kind, subtype, parameters), weight in ranges:
        if kind not in ("*", offer[0]) or subtype not in ("*", offer[1]) or not parameters <= offer[2]:
            continue
        specific = (kind != "*") + (subtype != "*") + len(parameters)
        if specific > best:
            best, quality = specific, weight
    return quality
