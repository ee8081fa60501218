"""The main figures as bars, as SVG. Pure: of the JSON document only, with nothing but text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape

from sidebyside import ratios
from sidebyside.peers import OURS
from sidebyside.works.keepalive import DIRECT

WIDTH, MARGIN, LABEL, BAR, GAP = 940, 24, 118, 17, 5  # pixels
COLUMNS = 2
HEAD = 40  # of a panel: its two lines of text
INK, SOFT, OWN, OTHER = "#1f2328", "#59636e", "#0b62d6", "#a9b4c2"

# Work, part, key, title, what is better.
PANELS = (
    ("keepalive", "16", "rate", "Small requests, kept connections (c=16)", "requests/s, more is better"),
    ("keepalive", "16", "cpu", "CPU for one of them", "µs, less is better"),
    ("keepalive", "1", "p50", "Median latency, c=1", "ms, less is better"),
    ("connections", None, "rate", "New TLS connections", "connections/s, more is better"),
    ("storm", "1.2", "rate", "Whole sign-ins with NTLM", "sign-ins/s, more is better"),
    ("storm", "1.2", "cpu", "CPU for one of them", "µs, less is better"),
    ("bodies", "down", "rate", "50 MB bodies, down", "MB/s, more is better"),
    ("bodies", "up", "rate", "50 MB bodies, up", "MB/s, more is better"),
    ("polls", None, "memory", "Memory of a held poll", "KiB, less is better"),
    ("buffers", None, "peak", "Memory added by 300 MB bodies, slow readers", "MiB, less is better"),
)

type Panel = tuple[str, str, list[tuple[str, float]]]


def drawn(document: dict[str, Any]) -> str:
    """The picture; panels of what was measured only."""
    panels = list(_panels(document))
    width = (WIDTH - MARGIN * (COLUMNS + 1)) // COLUMNS
    pieces: list[str] = []
    top = MARGIN + 34
    for at in range(0, len(panels), COLUMNS):
        row = panels[at : at + COLUMNS]
        for column, panel in enumerate(row):
            pieces += _panel(panel, MARGIN + column * (width + MARGIN), top, width)
        top += HEAD + max(len(bars) for _, _, bars in row) * (BAR + GAP) + MARGIN
    title = "lyncgate beside its peers, one core each"
    note = f"commit {document['commit']}, {document['machine']['cpu']}"
    if document["quick"]:
        note += "; A QUICK RUN: NOT TO BE QUOTED"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}" '
            f'viewBox="0 0 {WIDTH} {top}" font-family="system-ui, sans-serif" role="img">',
            f"<title>{title}</title>",
            f'<rect width="{WIDTH}" height="{top}" fill="#fff"/>',
            _text(MARGIN, MARGIN + 6, title, 17, INK, "600"),
            _text(MARGIN, MARGIN + 24, note, 12, SOFT),
            *pieces,
            "</svg>\n",
        ]
    )


def _panels(document: dict[str, Any]) -> Iterator[Panel]:
    for work, part, key, title, unit in PANELS:
        results = document["works"].get(work, {}).get("results", {})
        results = results.get(part, {}) if part else results
        bars = [
            (name, value)
            for name, rounds in results.items()
            if (value := ratios.middle(rounds, key)) is not None
        ]
        if [name for name, _ in bars if name != DIRECT]:
            yield title, unit, bars


def _panel(panel: Panel, left: int, top: int, width: int) -> Iterator[str]:
    title, unit, bars = panel
    most = max(*(value for _, value in bars), 1e-9) if len(bars) > 1 else max(bars[0][1], 1e-9)
    room = width - LABEL - 62
    yield _text(left, top + 12, title, 13, INK, "600")
    yield _text(left, top + 28, unit, 11, SOFT)
    for number, (name, value) in enumerate(bars):
        y = top + HEAD + number * (BAR + GAP)
        own = name == OURS
        long = max(1.0, room * max(value, 0) / most)
        yield _text(left, y + 13, name, 12, INK, "600" if own else "400")
        yield (
            f'<rect x="{left + LABEL}" y="{y}" width="{long:.1f}" height="{BAR}" rx="2" '
            f'fill="{OWN if own else OTHER}"/>'
        )
        yield _text(left + LABEL + int(long) + 6, y + 13, _figure(value), 12, INK)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _text(x: int, y: int, text: str, size: int, colour: str, weight: str = "400") -> str:
    look = f'font-size="{size}" font-weight="{weight}" fill="{colour}"'
    return f'<text x="{x}" y="{y}" {look}>{escape(text)}</text>'
