"""One sign-in in a terminal: what its page shows, in letters. It makes do with what there is: without colour,
without Unicode, without width.

    console.print(Story(waterfall(sign_in, findings)))
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from lyncgate.signin.finding import Finding
from lyncgate.signin.hops import hops
from lyncgate.signin.lines import took
from lyncgate.signin.rows import MARKS, PLAIN_MARKS, STATE_WORDS, outcome_words
from lyncgate.signin.scale import Bar, Scale
from lyncgate.signin.shown import ahead, duration, moment, shown
from lyncgate.signin.story import SignInOutcome, StageState
from lyncgate.signin.waterfall import RowView, Waterfall

STATE_STYLES = {
    StageState.OK: "green",
    StageState.FAILED: "bold red",
    StageState.NOT_OBSERVED: "dim",
    StageState.NOT_REACHED: "dim",
}
OUTCOME_STYLES = {
    SignInOutcome.OK: "bold green",
    SignInOutcome.FAILED: "bold red",
    SignInOutcome.INCOMPLETE: "bold yellow",
    SignInOutcome.OPEN: "bold cyan",
}
TITLE = 20  # columns of a stage's title
TOOK = 13
SEEN_BY = 18
LEAST_BAR = 16  # columns; with fewer there are no bars
INDENT = 6  # columns before a title: number and mark


@dataclasses.dataclass(frozen=True, slots=True)
class _Signs:
    """What lines are drawn with. `parts`: blocks that fill so many eighths of a column, from the left."""

    marks: dict[StageState, str]
    full: str
    parts: str
    waits: str
    track: str
    gap: str
    arrow: str
    ellipsis: str


_UNICODE = _Signs(MARKS, "█", " ▏▎▍▌▋▊▉█", "░", "─", "╱", "→", "…")
_ASCII = _Signs(PLAIN_MARKS, "#", " ||||####", "=", "-", "/", "->", "~")


_IN_ASCII = str.maketrans("…→·�", "~>-?")  # one for one, so that columns and styles stay


@dataclasses.dataclass(frozen=True, slots=True)
class Story:
    """To be printed by rich. `events`: with each event below its stage."""

    fall: Waterfall
    events: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        page = _Page(self.fall, options.max_width, _ASCII if options.ascii_only else _UNICODE, self.events)
        for line in page.lines():
            if options.ascii_only:
                line.plain = line.plain.translate(_IN_ASCII).encode("ascii", "replace").decode()
            line.no_wrap = True
            line.overflow = "crop"
            yield line


class _Page:
    def __init__(self, fall: Waterfall, width: int, signs: _Signs, events: bool) -> None:
        self._fall, self._width, self._signs, self._events = fall, width, signs, events
        seen_by = SEEN_BY if width >= 90 else 0
        bar = width - INDENT - TITLE - TOOK - seen_by - 2
        self._bar = bar if bar >= LEAST_BAR else 0
        self._seen_by = seen_by

    def lines(self) -> Iterator[Text]:
        yield from self._head()
        yield Text()
        if self._bar:
            yield self._axis()
        for row in self._fall.rows:
            yield from self._row(row)
        for gap in self._fall.scale.breaks:
            yield Text(
                f"{self._signs.gap} {duration(gap.seconds)} left out after {duration(gap.start)}", "dim"
            )
        yield Text()
        yield from self._way()
        for number, finding in enumerate(self._fall.findings):
            yield Text()
            yield from self._finding(finding, first=number == 0)

    def _head(self) -> Iterator[Text]:
        sign_in = self._fall.sign_in
        who = shown(sign_in.user or sign_in.account or "unknown user", 128)
        how = outcome_words(sign_in.outcome, sign_in.failed_stage)
        yield Text.assemble(
            (self._fit(who, self._width - len(how) - 2), "bold"), "  ", (how, OUTCOME_STYLES[sign_in.outcome])
        )
        yield self._cut(
            f"{shown(sign_in.device or 'unknown device', 128)} at {shown(sign_in.client or '?', 48)}"
        )
        when = f"{sign_in.id}, {moment(sign_in.started)}, seen for {duration(sign_in.seconds)}"
        if self._fall.ready_after is not None:
            when += f", ready after {duration(self._fall.ready_after)}"
        yield self._cut(when)
        for origin, seconds in sign_in.offsets:
            yield self._cut(f"clock of {_origin(origin)}: {ahead(seconds)}", "dim")

    def _axis(self) -> Text:
        """Round times over their columns; how long breaks are, where there is room."""
        cells = [" "] * self._bar
        for left, words in _labels(self._fall.scale):
            at = min(int(left / 100 * self._bar), self._bar - len(words))
            if at >= 0 and all(cell == " " for cell in cells[max(at - 1, 0) : at + len(words) + 1]):
                cells[at : at + len(words)] = words
        head = " " * (INDENT + TITLE) + "".join(cells) + f"{'took':>{TOOK}}"
        return Text(head + ("  seen by" if self._seen_by else ""), "dim")

    def _row(self, view: RowView) -> Iterator[Text]:
        state = STATE_STYLES[view.state]
        there = view.state in (StageState.OK, StageState.FAILED)
        line = Text(f"{view.row.number:>2}  ", "dim") + Text(f"{self._signs.marks[view.state]} ", state)
        line += Text(f"{self._fit(view.row.title, TITLE - 1):{TITLE}}", "bold" if there else "dim")
        line += self._bars(view) if self._bar else Text()
        words = (
            duration(view.seconds) if view.seconds is not None else ("" if there else STATE_WORDS[view.state])
        )
        line += Text(f"{self._fit(words, TOOK + 1):>{TOOK}}", "" if there else "dim")
        if self._seen_by:
            origins = ", ".join(_origin(origin) for origin in view.origins)
            line += Text(f"  {self._fit(origins, self._seen_by)}", "dim")
        yield line
        if view.state is StageState.NOT_OBSERVED:
            yield self._cut(" " * INDENT + f"would be seen by {view.row.seen_in}", "dim")
        if view.said:
            yield self._cut(
                " " * INDENT + "; ".join(view.said), "red" if view.state is StageState.FAILED else "dim"
            )
        if self._events:
            for event in view.moments:
                said = f"{event.line.said} {event.line.result} {took(event.line.seconds)}"
                words = f"{'':{INDENT + 2}}+{duration(event.start)} {said}"
                yield self._cut(words, "bold" if event.accused else "dim")

    def _bars(self, view: RowView) -> Text:
        """Blocks on the track, breaks behind."""
        signs, size = self._signs, self._bar
        text = Text()
        blocks = [moment.bar for moment in view.moments if not moment.line.waits]
        if view.track and not view.moments:
            blocks = [view.track]
        waits = [moment.bar for moment in view.moments if moment.line.waits]
        style = "red" if view.state is StageState.FAILED else "cyan"
        for column in range(size):
            cell = Bar(column * 100 / size, 100 / size)
            if filled := sum(_overlap(cell, block) for block in blocks):
                eighths = max(1, min(8, round(8 * filled / cell.width)))
                text.append(signs.parts[eighths], style)
            elif any(_overlap(cell, wait) for wait in waits):
                text.append(signs.waits, style)
            elif any(
                _overlap(cell, Bar(gap.left, gap.width)) > cell.width / 2 for gap in self._fall.scale.breaks
            ):
                text.append(signs.gap, "dim")
            elif view.track and _overlap(cell, view.track):
                text.append(signs.track, "dim")
            else:
                text.append(" ")
        return text

    def _way(self) -> Iterator[Text]:
        for link in hops(self._fall.sign_in).links:
            source, target = (f"{node.kind} {node.name}" for node in (link.source, link.target))
            words = f"{source} {self._signs.arrow} {target}: {link.label}"
            yield self._cut(words, "red" if link.failed else "dim")

    def _finding(self, finding: Finding, *, first: bool) -> Iterator[Text]:
        head = Text.assemble(
            ("" if first else "or  ", "dim"), (f"{finding.code}  ", "bold red" if first else "bold yellow")
        )
        yield head + Text(shown(finding.title), "bold") + Text(f"  {finding.certainty}", "dim")
        yield from self._paragraph("", finding.cause)
        if not first:
            return
        for evidence in finding.evidence:
            row = self._fall.row_of(evidence.event)
            yield from self._paragraph("seen", evidence.said + (f" (stage {row.row.number})" if row else ""))
        for fix in finding.fixes:
            yield from self._paragraph("do", fix.said)
            if fix.command:
                # Never cut: it is there to be copied.
                for part in _wrapped(shown(fix.command), max(self._width - 8, 20)):
                    yield Text(f"        {part}", "cyan")
        yield from self._paragraph("from", finding.source)
        yield from self._paragraph("more", f"lyncgate explain-finding {finding.code}")

    def _paragraph(self, label: str, words: str) -> Iterator[Text]:
        for number, part in enumerate(_wrapped(shown(words, 1024), max(self._width - 6, 20))):
            yield Text(f"{label if number == 0 else '':4}  ", "dim") + Text(part)

    def _cut(self, words: str, style: str = "") -> Text:
        return Text(self._fit(words, self._width), style)

    def _fit(self, words: str, width: int) -> str:
        width = max(width, 1)
        return words if cell_len(words) <= width else set_cell_size(words, width - 1) + self._signs.ellipsis


def _labels(scale: Scale) -> Iterator[tuple[float, str]]:
    """(percent, words). Breaks first: what they leave out is worth more than a round time."""
    for gap in scale.breaks:
        yield gap.left, duration(gap.seconds)
    for tick in scale.ticks():
        yield tick.left, "0" if tick.seconds == 0 else duration(tick.seconds).replace(".0 ms", " ms")


def _overlap(one: Bar, other: Bar) -> float:
    return max(0.0, min(one.left + one.width, other.left + other.width) - max(one.left, other.left))


def _origin(origin: str) -> str:
    return "DNS" if origin == "dns" else shown(origin.replace(":", " ", 1), 64)


def _wrapped(words: str, width: int) -> Iterator[str]:
    """Lines of at most `width` characters; a word that is longer is broken."""
    line = ""
    for word in words.split(" "):
        while len(word) > width:
            if line:
                yield line
                line = ""
            yield word[:width]
            word = word[width:]
        if line and len(line) + 1 + len(word) > width:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
    if line:
        yield line
