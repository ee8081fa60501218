"""What the templates call things, beside the words that page and terminal share (`signin.rows`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from tornado.escape import xhtml_escape

from lyncgate.lync.stages import Stage
from lyncgate.signin.finding import Certainty, Grade
from lyncgate.signin.lines import PHASE_WORDS, took
from lyncgate.signin.rows import ROWS, STATE_WORDS, row_states
from lyncgate.signin.shown import shown
from lyncgate.signin.story import StageState
from lyncgate.signin.waterfall import Moment

CERTAINTIES = {  # dots of three, and words
    Certainty.CERTAIN: (3, "certain: nothing else looks like this"),
    Certainty.LIKELY: (2, "likely: the usual cause of what was seen"),
    Certainty.POSSIBLE: (1, "possible: one of several causes"),
}
GRADE_WORDS = {
    Grade.DOCUMENT: "Microsoft's documents",
    Grade.FIELD: "a report from the field",
    Grade.OBSERVED: "seen in our own runs",
    Grade.INFERRED: "concluded",
}


def origin_words(origin: str) -> str:
    """`trace:fe01` as `trace fe01`, `dns` as `DNS`."""
    return {"dns": "DNS", "har": "HAR"}.get(origin, shown(origin.replace(":", " ", 1), 64))


def sentence(text: str) -> str:
    """With a capital, as a line of its own begins; names of hosts have none."""
    return text if text.startswith("lyncdiscover") else text[:1].upper() + text[1:]


def breakable(name: str) -> str:
    """Markup of an address that breaks after its @ before it breaks in a word."""
    return xhtml_escape(name).replace("@", "@<wbr>")


def strip_words(states: Mapping[Stage, StageState]) -> str:
    """The fourteen marks for those who don't see them: `9 ok, 4 not observed, failed: Register`."""
    found = row_states(states)
    counted = Counter(found)
    said = [f"{counted[state]} {word}" for state, word in STATE_WORDS.items() if counted[state]]
    failed = [row.title for row, state in zip(ROWS, found, strict=True) if state is StageState.FAILED]
    return ", ".join(said) + (f": {', '.join(failed)}" if failed else "")


def phase_words(moment: Moment) -> str:
    """The phases of an exchange, for those who don't see the bar."""
    return "; ".join(f"{PHASE_WORDS[phase.phase]} {took(phase.seconds)}" for phase in moment.phases)
