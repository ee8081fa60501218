"""The shape of rules.yaml's `journal`, which says what is kept of sign-ins. See `model`."""

from __future__ import annotations

from pydantic import Field

from lyncgate.policy import policy as compiled
from lyncgate.policy.scalars import Duration, FileName, Name, Size
from lyncgate.policy.section import Section

_JOURNAL = compiled.Journal()


class FollowRules(Section):
    """A file that something else writes and the edge reads as it grows: `dns` or `trace`."""

    dns: FileName | None = Field(
        default=None, description="A DNS server's log of questions and answers, one JSON object a line."
    )
    trace: FileName | None = Field(
        default=None,
        description="A front end's trace, as OCSLogger or the Centralized Logging Service writes it.",
    )
    server: Name | None = Field(
        default=None, description="With `trace`: what the server is called in the story of a sign-in."
    )


class JournalRules(Section):
    """What is kept of sign-ins, and for how long."""

    path: FileName | None = Field(
        default=None,
        description="SQLite file, kept over restarts. Without: in memory, the last "
        f"{compiled.MEMORY_JOURNAL // compiled.MIB} MiB at most.",
    )
    size: Size = Field(
        default=_JOURNAL.size, description="Bytes that it may have; the oldest sign-ins make room."
    )
    age: Duration = Field(default=_JOURNAL.age, description="How long a sign-in is kept.")
    pseudonyms: bool = Field(
        default=False,
        description="`true`: of users and accounts only pseudonyms are kept, see docs/journal.md.",
    )
    follow: list[FollowRules] = Field(
        default=[], description="Files that others write, for what the edge can't see itself."
    )
