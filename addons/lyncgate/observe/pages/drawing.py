"""Scale, bars and hops as SVG. Positions are attributes, never styles: the pages' policy forbids inline
styles. Text from outside is escaped here."""

from __future__ import annotations

from collections.abc import Iterator

from tornado.escape import xhtml_escape

from lyncgate.signin.hops import Column, Hops, Link, Node
from lyncgate.signin.scale import Bar, Scale
from lyncgate.signin.shown import duration
from lyncgate.signin.story import StageState
from lyncgate.signin.waterfall import RowView

BOX = (124, 50)  # width and height of a node, pixels
GAP = (82, 22)  # between columns, and between nodes of one
MARGIN = 6
LONGEST = 16  # characters of a name; whole, it is in the title and the text


def axis(scale: Scale) -> str:
    """The scale above the bars: round times, and how long each break is."""
    parts = list(_breaks(scale))
    for tick in scale.ticks():
        parts.append(_text(tick.left, "start" if tick.left < 1 else "middle", tick_words(tick.seconds)))
    for gap in scale.breaks:
        middle = gap.left + gap.width / 2
        anchor, at = ("end", 100.0) if middle > 95 else ("middle", middle)
        parts.append(_text(at, anchor, duration(gap.seconds), "left-out"))
    return "".join(parts)


def _text(left: float, anchor: str, words: str, classes: str = "") -> str:
    return f'<text x="{left:g}%" y="15" text-anchor="{anchor}" class="{classes}">{words}</text>'


def tick_words(seconds: float) -> str:
    """`0`, `50 ms`, `1.2 s`, `3 min`: round times, no zeros that say nothing."""
    if seconds == 0:
        return "0"
    if seconds < 0.9995:
        return f"{seconds * 1000:.6g} ms"
    return f"{seconds:.6g} s" if seconds < 120 else duration(seconds)


def bar(view: RowView, scale: Scale) -> str:
    """One row: the lines of the scale, a thin track from first to last, a block for each moment. Where it
    failed those that broke it are red, or all if none of them says so."""
    behind = [*_breaks(scale), *(_line(tick.left) for tick in scale.ticks())]
    parts = []
    if view.track:
        parts.append(_rect("track", view.track, 2))
    failed = view.state is StageState.FAILED
    broke = {moment.line.id for moment in view.moments if moment.accused or moment.line.alarming}
    for moment in view.moments:
        kind = "bad" if failed and (not broke or moment.line.id in broke) else "good"
        title = f"{moment.line.said}: {moment.line.result}"
        parts.append(_rect(f"{kind} waits" if moment.line.waits else kind, moment.bar, 12, title))
        if moment.accused:
            parts.append(_pointer(moment.bar))
    if view.track and not view.moments:
        parts.append(_rect("bad" if failed else "good", view.track, 12))
    return f'{"".join(behind)}<svg y="50%" overflow="visible">{"".join(parts)}</svg>'


def _breaks(scale: Scale) -> Iterator[str]:
    for gap in scale.breaks:
        where = f'x="{gap.left}%" y="0" width="{gap.width}%" height="100%" fill="url(#hatch)"'
        yield f'<rect class="gap" {where}><title>{duration(gap.seconds)} left out</title></rect>'


def _line(left: float) -> str:
    return f'<line x1="{left}%" x2="{left}%" y1="0" y2="100%"/>'


def _rect(classes: str, bar: Bar, height: int, title: str = "") -> str:
    """Centred on y = 0."""
    where = f'x="{bar.left}%" y="{-height / 2:g}" width="{bar.width}%" height="{height}"'
    inside = f"<title>{xhtml_escape(title)}</title>" if title else ""
    return f'<rect class="{classes}" {where} rx="{min(2, height / 2):g}">{inside}</rect>'


def _pointer(bar: Bar) -> str:
    """A small arrow over a block: a finding quotes it."""
    middle = bar.left + bar.width / 2
    return f'<svg x="{middle:g}%" overflow="visible"><path class="quoted-at" d="M-4 -15h8l-4 6z"/></svg>'


def hops_svg(way: Hops) -> str:
    """The hops as a picture: columns from left to right, as wide as it takes."""
    columns = [nodes for column in Column if (nodes := way.column(column))]
    tallest = max((len(nodes) for nodes in columns), default=1)
    height = tallest * (BOX[1] + GAP[1]) - GAP[1] + 2 * MARGIN
    width = len(columns) * (BOX[0] + GAP[0]) - GAP[0] + 2 * MARGIN
    places: dict[Node, tuple[float, float]] = {}
    for number, nodes in enumerate(columns):
        used = len(nodes) * (BOX[1] + GAP[1]) - GAP[1]
        top = (height - used) / 2
        for place, node in enumerate(nodes):
            places[node] = (MARGIN + number * (BOX[0] + GAP[0]), top + place * (BOX[1] + GAP[1]))
    drawn = [*(_link(link, places) for link in way.links), *(_box(node, places[node]) for node in way.nodes)]
    words = "; ".join(f"{link.source.name} to {link.target.name}: {link.label}" for link in way.links)
    return (
        f'<svg role="img" aria-label="{xhtml_escape(words)}" viewBox="0 0 {width} {height:g}" '
        f'width="{width}" height="{height:g}">{"".join(drawn)}</svg>'
    )


def _box(node: Node, place: tuple[float, float]) -> str:
    left, top = place
    middle = left + BOX[0] / 2
    name = node.name if len(node.name) <= LONGEST else node.name[: LONGEST - 1] + "…"
    return (
        f'<g class="node"><title>{xhtml_escape(f"{node.kind} {node.name}")}</title>'
        f'<rect x="{left:g}" y="{top:g}" width="{BOX[0]}" height="{BOX[1]}" rx="6"/>'
        f'<text class="kind" x="{middle:g}" y="{top + 19:g}">{xhtml_escape(node.kind)}</text>'
        f'<text x="{middle:g}" y="{top + 37:g}">{xhtml_escape(name)}</text></g>'
    )


def _link(link: Link, places: dict[Node, tuple[float, float]]) -> str:
    (from_left, from_top), (to_left, to_top) = places[link.source], places[link.target]
    forward = to_left >= from_left  # else against the order of the columns
    x1, x2 = (from_left + BOX[0], to_left - 5) if forward else (from_left, to_left + BOX[0] + 5)
    y1, y2 = from_top + BOX[1] / 2, to_top + BOX[1] / 2
    middle, tip = (x1 + x2) / 2, 3 if forward else -3
    beside = y2 + 16 if y2 > y1 else y2 - 7  # not where the line comes from
    anchor, at = ("end", x2 - 8) if forward else ("start", x2 + 8)
    words = xhtml_escape(f"{link.count} {_SHORT[link.what]}")
    return (
        f'<g class="link{" broken" if link.failed else ""}"><title>{xhtml_escape(link.label)}</title>'
        f'<path d="M{x1:g} {y1:g}C{middle:g} {y1:g} {middle:g} {y2:g} {x2:g} {y2:g}"/>'
        f'<path class="head" d="M{x2 - tip:g} {y2 - 4:g}L{x2 + tip:g} {y2:g}L{x2 - tip:g} {y2 + 4:g}z"/>'
        f'<text x="{at:g}" y="{beside:g}" text-anchor="{anchor}">{words}</text>'
        f"{_cross(middle, (y1 + y2) / 2) if link.failed else ''}</g>"
    )


_SHORT = {"requests": "HTTP", "queries": "DNS", "SIP messages": "SIP", "failed handshakes": "failed"}


def _cross(x: float, y: float) -> str:
    """On a link where something broke: a shape, not a colour alone."""
    return f'<path class="cross" d="M{x - 4:g} {y - 4:g}l8 8m0 -8l-8 8"/>'
