"""Where attempts and loose strands meet: a line in time, on which a strand chooses among the attempts next to
it. There is one for each client address, and one for each name in DNS; what happens on one concerns no other.
Because a strand looks only NEAR attempts far, little is to be chosen anew when something is added.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable

from lyncgate.signin.attempt import IDLE, Attempt
from lyncgate.signin.strands import Strand

NEAR = 8  # attempts on either side of a moment that are looked at

type Question = tuple[str, str]


class Nearby:
    """`score`: how far a strand is from an attempt, which is on the line at the time given, and was given the
    same question before or was not; less is better, None: can't be. `questions`: what a strand asks."""

    def __init__(
        self,
        score: Callable[[Strand, Attempt, float, bool], tuple[float, ...] | None],
        questions: Callable[[Strand], Iterable[Question]],
    ) -> None:
        self._score = score
        self._questions = questions
        self._places: list[tuple[float, str]] = []  # of attempts: time, and which
        self._attempts: dict[str, Attempt] = {}
        self._orders: list[tuple[float, str]] = []  # of strands
        self._strands: dict[tuple[float, str], Strand] = {}
        self._asked: dict[str, list[Question]] = {}
        self._own: dict[str, list[float]] = {}  # address → when it asked
        self._doubtful = float("inf")  # choices of strands from this time on may be others now
        self.chosen: dict[Strand, str] = {}

    @property
    def is_empty(self) -> bool:
        return not self._orders and not self._places

    def put(self, which: str, attempt: Attempt, at: float) -> None:
        bisect.insort(self._places, (at, which))
        self._attempts[which] = attempt
        self._doubt(at, attempt.start)

    def take(self, which: str, at: float) -> None:
        """An attempt is no more, or another one now; strands that chose it will choose anew."""
        del self._places[bisect.bisect_left(self._places, (at, which))]
        self._doubt(at, self._attempts.pop(which).start)

    def lengthen(self, which: str, attempt: Attempt, at: float) -> None:
        """An attempt is the same but for when it ended: it may be chosen until then, and IDLE more."""
        old, self._attempts[which] = self._attempts[which], attempt
        if old.end != attempt.end:
            until = min(old.end, attempt.end) + IDLE
            last = bisect.bisect_left(self._places, (at, which)) + NEAR
            if last >= len(self._places) or self._places[last][0] >= until:  # else nobody looks so far back
                self._doubtful = min(self._doubtful, until)

    def add(self, strand: Strand) -> None:
        bisect.insort(self._orders, strand.order)
        self._strands[strand.order] = strand
        for client in strand.clients:
            bisect.insort(self._own.setdefault(client, []), strand.start)
        self._doubt_around(strand)

    def remove(self, strand: Strand) -> None:
        del self._orders[bisect.bisect_left(self._orders, strand.order)], self._strands[strand.order]
        self._disown(strand)
        self._doubt_around(strand)
        self._release(strand)

    def forget(self, which: str, at: float) -> None:
        """An attempt is long over, and nobody's choice is changed by it."""
        del self._places[bisect.bisect_left(self._places, (at, which))], self._attempts[which]
        self._asked.pop(which, None)

    def drop(self, strand: Strand) -> None:
        """Likewise a strand, whose attempt is forgotten, if it had one."""
        del self._orders[bisect.bisect_left(self._orders, strand.order)], self._strands[strand.order]
        self.chosen.pop(strand, None)
        self._disown(strand)

    def settle(self) -> list[tuple[Strand, str | None, str | None]]:
        """Choose anew where there is doubt. Returns strands that chose otherwise: what it was, what it is."""
        doubtful = self._orders[bisect.bisect_left(self._orders, (self._doubtful, "")) :]
        self._doubtful = float("inf")
        before: list[tuple[Strand, str | None]] = []
        for order in doubtful:
            strand = self._strands[order]
            before.append((strand, self._release(strand)))
        changed: list[tuple[Strand, str | None, str | None]] = []
        for strand, old in before:
            new = self._choice(strand)
            if new is not None:
                self.chosen[strand] = new
                for question in self._questions(strand):
                    self._asked.setdefault(new, []).append(question)
            if new != old:
                changed.append((strand, old, new))
        return changed

    def _choice(self, strand: Strand) -> str | None:
        middle = bisect.bisect_left(self._places, (strand.start, ""))
        start, questions = strand.start, self._questions(strand)
        best: tuple[float, ...] | None = None
        choice: str | None = None
        for at, which in self._places[max(0, middle - NEAR) : middle + NEAR]:
            attempt = self._attempts[which]
            if attempt.start - IDLE <= start <= attempt.end + IDLE:
                asked = self._asked.get(which, ())
                again = any(question in asked for question in questions) if asked else False
                score = self._score(strand, attempt, at, again)
                if score is not None and (best is None or score < best) and self._may(strand, attempt, at):
                    best, choice = score, which
        return choice

    def _may(self, strand: Strand, attempt: Attempt, at: float) -> bool:
        """An attempt whose device is seen asking itself takes nothing from another address, which is a
        resolver's, and may ask for anybody."""
        if strand.clients & attempt.clients:
            return True
        for client in attempt.clients:
            times = self._own.get(client)
            if times is not None:
                place = bisect.bisect_left(times, at - IDLE)
                if place < len(times) and times[place] <= at:
                    return False
        return True

    def _release(self, strand: Strand) -> str | None:
        which = self.chosen.pop(strand, None)
        if which is not None:
            for question in self._questions(strand):
                self._asked[which].remove(question)
            if which in self._asked and not self._asked[which]:
                del self._asked[which]
        return which

    def _disown(self, strand: Strand) -> None:
        for client in strand.clients:
            own = self._own[client]
            own.remove(strand.start)
            if not own:
                del self._own[client]

    def _doubt(self, at: float, start: float) -> None:
        """Something changed with an attempt that is here at `at` and began at `start`."""
        place = bisect.bisect_left(self._places, (at, ""))
        near = self._places[place - NEAR - 1][0] if place > NEAR else float("-inf")
        self._doubtful = min(self._doubtful, max(near, min(start, at) - IDLE))

    def _doubt_around(self, strand: Strand) -> None:
        """A strand came or went: attempts from then on may be known by it to ask themselves."""
        self._doubt(strand.start, strand.start)
        self._doubtful = min(self._doubtful, strand.start)
