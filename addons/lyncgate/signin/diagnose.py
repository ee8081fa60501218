"""What is wrong with a sign-in, best guess first, and what to do about it.

    for finding in diagnose(sign_in, around):
        finding.code, finding.certainty, finding.evidence, finding.fixes

A healthy sign-in has no finding. Findings that another one explains are left out. The order: certain before
likely before possible, then what comes earlier in a sign-in.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence

from lyncgate.lync.stages import Stage
from lyncgate.signin.catalogue.catalogue import CATALOGUE
from lyncgate.signin.catalogue.entry import Entry, Sighting
from lyncgate.signin.catalogue.scene import Scene
from lyncgate.signin.finding import Certainty, Finding, Fix
from lyncgate.signin.story import SignIn

_CERTAINTIES = list(Certainty)
_STAGES = list(Stage)
# Values come from outside, and commands are for pasting: nothing that a shell or PowerShell would take for
# more than a word, inside its quotes or out of them.
_HARMLESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+\\-]{0,255}", re.ASCII)


def diagnose(sign_in: SignIn, around: Sequence[SignIn] = ()) -> tuple[Finding, ...]:
    """The findings, best first. `around`: sign-ins of anybody near in time, which tell whether others fail
    too, and older ones of the same user, which tell what used to work; `sign_in` may be among them."""
    scene = Scene(sign_in, around)
    seen = [(entry, sighting) for entry in CATALOGUE.values() if (sighting := entry.sees(scene))]
    explained = {
        code
        for entry, sighting in seen
        if sighting.certainty is not Certainty.POSSIBLE
        for code in entry.explains
    }
    left = [(entry, sighting) for entry, sighting in seen if entry.code not in explained]
    values = scene.values() if left else {}
    return tuple(_finding(entry, sighting, values) for entry, sighting in sorted(left, key=_order))


def _order(found: tuple[Entry, Sighting]) -> tuple[int, int, int, str]:
    entry, sighting = found
    return (
        _CERTAINTIES.index(sighting.certainty),
        sighting.rank,
        _STAGES.index(entry.stage),
        entry.code,
    )


def _finding(entry: Entry, sighting: Sighting, values: Mapping[str, str | None]) -> Finding:
    filled = {**values, **{name: value for name, value in sighting.values.items() if value}}
    return Finding(
        code=entry.code,
        title=entry.title,
        stage=entry.stage,
        certainty=sighting.certainty,
        cause=entry.cause,
        evidence=sighting.evidence,
        fixes=tuple(fill(fix, filled) for fix in entry.fixes),
        grade=entry.grade,
        source=source(entry),
    )


def fill(fix: Fix, values: Mapping[str, str | None]) -> Fix:
    """The fix with its command's `{name}` filled in; `<name>` for what is not known, or not harmless."""
    if fix.command is None:
        return fix
    names = {name for _, name, _, _ in string.Formatter().parse(fix.command) if name}
    harmless = {
        name: value if (value := values.get(name)) and _HARMLESS.fullmatch(value) else f"<{name}>"
        for name in names
    }
    return Fix(said=fix.said, command=fix.command.format_map(harmless))


def source(entry: Entry) -> str:
    """Where the facts are from, each with its grade."""
    return "; ".join(f"{grade}: {said}" for grade, said in entry.sources)
