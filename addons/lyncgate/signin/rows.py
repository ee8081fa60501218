"""The fourteen rows of a sign-in as people see it, and the words and marks of page and terminal.

`ticket` and `certificate` are one row. A state is never told by colour alone: each has a word, and a mark
whose shape differs (`MARKS`; `PLAIN_MARKS` where the terminal has ASCII only).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from lyncgate.lync.stages import Stage
from lyncgate.signin.story import Joined, SignInOutcome, StageState


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """`title`: how people call it; `about`: what happens in it; `seen_in`: what would show it."""

    number: int
    title: str
    about: str
    seen_in: str
    stages: tuple[Stage, ...]


_DNS = "the DNS server's log"
_WEB = "the edge, a capture or a HAR"
_TRACE = "a front end's trace"

_TABLE: tuple[tuple[str, str, str, tuple[Stage, ...]], ...] = (
    ("Start", "the first sign of the user", _WEB, (Stage.START,)),
    ("Internal name", "lyncdiscoverinternal: outside, it must not exist", _DNS, (Stage.DNS_INTERNAL,)),
    ("Discovery name", "lyncdiscover is looked up", _DNS, (Stage.DNS_DISCOVER,)),
    ("Web services name", "the name that discovery handed out is looked up", _DNS, (Stage.DNS_WEB,)),
    ("Connect", "TCP and TLS to the edge", _WEB, (Stage.CONNECT,)),
    ("Redirect", "from HTTP to HTTPS; not every client begins with HTTP", _WEB, (Stage.REDIRECT,)),
    ("Discover", "the root document of lyncdiscover", _WEB, (Stage.DISCOVER,)),
    ("Locate", "root and user documents: which web services are the user's", _WEB, (Stage.LOCATE,)),
    (
        "Ticket, certificate",
        "the web ticket and, for some devices, a client certificate",
        _WEB,
        (Stage.TICKET, Stage.CERTIFICATE),
    ),
    (
        "Register",
        "an Mcx session or a UCWA application, and REGISTER inside",
        f"{_WEB}; REGISTER in {_TRACE}",
        (Stage.REGISTER,),
    ),
    (
        "Mobility policy",
        "may the user use mobility, and by which policy",
        f"{_WEB}; {_TRACE}",
        (Stage.MOBILITY_POLICY,),
    ),
    (
        "Provisioning",
        "what the pool tells the device: voicemail, forwarding, dial plan",
        f"{_TRACE}; Mcx also in {_WEB}",
        (Stage.PROVISIONING,),
    ),
    ("Notifications", "a push subscription, or a poll that is up", _WEB, (Stage.NOTIFICATIONS,)),
    ("Ready", "contacts and cards are there", f"{_WEB}; {_TRACE}", (Stage.READY,)),
)
ROWS = tuple(Row(number, *columns) for number, columns in enumerate(_TABLE, start=1))
TITLES = {stage: row.title for row in ROWS for stage in row.stages} | {
    Stage.TICKET: "Ticket",
    Stage.CERTIFICATE: "Certificate",
}
ROW_OF = {stage: row for row in ROWS for stage in row.stages}

STATE_WORDS = {
    StageState.OK: "ok",
    StageState.FAILED: "failed",
    StageState.NOT_OBSERVED: "not observed",
    StageState.NOT_REACHED: "not reached",
}
MARKS = {
    StageState.OK: "●",
    StageState.FAILED: "✕",
    StageState.NOT_OBSERVED: "○",
    StageState.NOT_REACHED: "·",
}
PLAIN_MARKS = {
    StageState.OK: "+",
    StageState.FAILED: "X",
    StageState.NOT_OBSERVED: "o",
    StageState.NOT_REACHED: ".",
}
OUTCOME_WORDS = {
    SignInOutcome.OK: "signed in",
    SignInOutcome.FAILED: "failed",
    SignInOutcome.INCOMPLETE: "stopped",
    SignInOutcome.OPEN: "under way",
}
JOINED_WORDS = {
    Joined.KEY: "shares an exact key",
    Joined.USER: "same user, and client or time fit",
    Joined.ADDRESS: "same address and device, close in time",
    Joined.TIME: "only the time and a name fit: may be somebody else's",
}


def row_states(states: Mapping[Stage, StageState]) -> tuple[StageState, ...]:
    """One state a row, fourteen, from the states of stages. A stage that is missing was not observed."""
    return tuple(
        row_state(states.get(stage, StageState.NOT_OBSERVED) for stage in row.stages) for row in ROWS
    )


def row_state(states: Iterable[StageState]) -> StageState:
    """The state of a row of several stages: what failed, else what was seen, else how far it went."""
    there = set(states)
    order = (StageState.FAILED, StageState.OK, StageState.NOT_REACHED)
    return next((state for state in order if state in there), StageState.NOT_OBSERVED)


def strip(states: Mapping[Stage, StageState], *, plain: bool = False) -> str:
    """The fourteen marks of a sign-in in a line of text: `●●●●●●●●✕·····`."""
    marks = PLAIN_MARKS if plain else MARKS
    return "".join(marks[state] for state in row_states(states))


def outcome_words(outcome: SignInOutcome, failed_stage: Stage | None) -> str:
    """`failed at Ticket`, `signed in`: how a sign-in ended."""
    words = OUTCOME_WORDS[outcome]
    return f"{words} at {TITLES[failed_stage]}" if failed_stage else words
