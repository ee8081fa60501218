"""The catalogue of findings: an index by stage, and a page for each."""

from __future__ import annotations

from lyncgate.observe.pages.base import Page
from lyncgate.signin.catalogue.catalogue import CATALOGUE
from lyncgate.signin.diagnose import fill
from lyncgate.signin.rows import ROWS


class FindingsPage(Page):
    here = "findings"

    async def get(self, *arguments: str) -> None:
        groups = [
            (row, entries)
            for row in ROWS
            if (entries := [entry for entry in CATALOGUE.values() if entry.stage in row.stages])
        ]
        await self.show("findings.html", lambda: {"groups": groups})


class FindingPage(Page):
    here = "findings"

    async def get(self, *arguments: str) -> None:
        (code,) = arguments
        entry = CATALOGUE.get(code.upper())
        if entry is None:
            self.missing("No such finding", f"There is no finding {code}.")
        else:
            fixes = [fill(fix, {}) for fix in entry.fixes]  # `<user>` where a sign-in would fill in its own
            await self.show("finding.html", lambda: {"entry": entry, "fixes": fixes})
