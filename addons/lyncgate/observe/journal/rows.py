"""A sign-in as a row of the journal: what lists show, without its events."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections.abc import Iterable
from typing import Any

import pydantic

from lyncgate.lync.stages import Stage
from lyncgate.signin import codec
from lyncgate.signin.events import Event
from lyncgate.signin.finding import Finding
from lyncgate.signin.story import Joined, SignIn, SignInOutcome, StageState

_json = json.JSONEncoder(separators=(",", ":")).encode
_FINDINGS = pydantic.TypeAdapter(tuple[Finding, ...])

COLUMNS = (
    *("id", "revision", "user", "account", "client", "device", "started", "ended"),
    *("outcome", "failed_stage", "counted", "codes", "stages", "findings", "offsets"),
)
_NAMES, _PLACES = ", ".join(COLUMNS), ", ".join("?" * len(COLUMNS))
INSERT = f"INSERT OR REPLACE INTO signins ({_NAMES}) VALUES ({_PLACES})"  # noqa: S608 (our own names)
_JUDGED = (
    *("revision", "user", "account", "client", "device", "outcome", "failed_stage", "counted"),
    *("codes", "stages", "findings", "offsets"),
)  # what may change while its events stay the same, and its times
UPDATE = f"UPDATE signins SET {' = ?, '.join(_JUDGED)} = ? WHERE id = ?"  # noqa: S608 (our own names)
SELECT = f"SELECT {_NAMES} FROM signins"  # noqa: S608
EVENTS = (  # of a sign-in, the first ones, with why each belongs
    "SELECT joined, events.event FROM joined JOIN events ON events.id = joined.event "
    "WHERE signin = ? ORDER BY seq LIMIT ?"
)
MOST_EVENTS = 500  # of one sign-in: phones that stay signed in poll for days


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SignInRow:
    """`started`, `ended`: Unix seconds. `revision` grows with every change in the journal. `stages`:
    state and seconds of each. `findings`: best first."""

    id: str
    revision: int
    user: str | None
    account: str | None
    client: str | None
    device: str | None
    started: float
    ended: float
    outcome: SignInOutcome
    failed_stage: Stage | None
    stages: tuple[tuple[Stage, StageState, float | None], ...]
    findings: tuple[Finding, ...]
    offsets: tuple[tuple[str, float], ...] = ()

    @property
    def seconds(self) -> float:
        return self.ended - self.started

    @property
    def states(self) -> dict[Stage, StageState]:
        return {stage: state for stage, state, _ in self.stages}

    @property
    def cursor(self) -> str:
        """For `Reader.list(before=…)`: what comes after this row in a list."""
        return f"{self.started!r}~{self.id}"


def values(sign_in: SignIn, findings: tuple[Finding, ...], revision: int, counted: bool) -> tuple[Any, ...]:
    """What INSERT takes."""
    found = dict(zip(_JUDGED, judgement(sign_in, findings, revision, counted), strict=False))
    found |= {"id": sign_in.id, "started": sign_in.started, "ended": sign_in.ended}
    return tuple([found[name] for name in COLUMNS])


def judgement(
    sign_in: SignIn, findings: tuple[Finding, ...], revision: int, counted: bool
) -> tuple[Any, ...]:
    """What UPDATE takes."""
    return (
        *(revision, sign_in.user, sign_in.account, sign_in.client, sign_in.device),
        *(sign_in.outcome.value, sign_in.failed_stage, counted),
        f" {' '.join([finding.code for finding in findings])} ",
        _json([(view.stage, view.state, view.seconds) for view in sign_in.stages]),
        _FINDINGS.dump_json(findings).decode() if findings else "[]",
        _json(sign_in.offsets) if sign_in.offsets else "[]",
        sign_in.id,
    )


def event(line: str) -> Event | None:
    """The event written as `line`; None if a newer version wrote it, of a kind unknown here."""
    try:
        return codec.loads(line)
    except ValueError:
        return None


def told(lines: Iterable[tuple[str, str]]) -> tuple[list[Event], dict[str, Joined]]:
    """Events and why each belongs, of what EVENTS has given."""
    events = [(why, found) for why, line in lines if (found := event(line))]
    return [found for _, found in events], {found.id: Joined(why) for why, found in events}


def read(row: sqlite3.Row | tuple[Any, ...]) -> SignInRow:
    """The row that SELECT has given."""
    found = dict(zip(COLUMNS, row, strict=True))
    del found["codes"], found["counted"]  # for queries, and for whoever writes
    failed = found["failed_stage"]
    return SignInRow(
        **found
        | {
            "outcome": SignInOutcome(found["outcome"]),
            "failed_stage": Stage(failed) if failed else None,
            "stages": tuple(
                (Stage(name), StageState(s), took) for name, s, took in json.loads(found["stages"])
            ),
            "findings": _FINDINGS.validate_json(found["findings"]),
            "offsets": tuple((origin, ahead) for origin, ahead in json.loads(found["offsets"])),
        }
    )
