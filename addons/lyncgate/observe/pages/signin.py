"""One sign-in: its waterfall, and as a file to take away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from lyncgate.observe import har
from lyncgate.observe.journal.reader import Reader
from lyncgate.observe.pages.base import Hosts, Page
from lyncgate.signin import codec
from lyncgate.signin.finding import Finding
from lyncgate.signin.hops import hops
from lyncgate.signin.rows import outcome_words
from lyncgate.signin.shown import shown
from lyncgate.signin.story import SignIn
from lyncgate.signin.waterfall import waterfall

type Found = tuple[SignIn, tuple[Finding, ...]]


class _OfOne(Page):
    here = "signins"

    async def found(self, id_: str) -> Found | None:
        """The sign-in with its findings; None: the answer says why there is none."""
        try:
            found = await asyncio.to_thread(self.reader.detail, id_)
        except OSError as error:
            self.missing("No journal", f"{error}.", 503)
            return None
        if found is None:
            self.missing(
                "No such sign-in", f"The journal has no sign-in {id_}: it may have been too old to keep."
            )
        return found


class SignInPage(_OfOne):
    async def get(self, *arguments: str) -> None:
        if found := await self.found(*arguments):
            await self.show("signin.html", lambda: _values(*found))


def _values(sign_in: SignIn, findings: tuple[Finding, ...]) -> dict[str, Any]:
    return {
        "sign_in": sign_in,
        "findings": findings,
        "fall": waterfall(sign_in, findings),
        "way": hops(sign_in),
        "who": shown(sign_in.user or sign_in.account or "unknown user", 128),
        "words": outcome_words(sign_in.outcome, sign_in.failed_stage),
    }


class ExportPage(_OfOne):
    """`write`: what makes the file of it; `suffix`: how its name ends."""

    def initialize(
        self,
        reader: Callable[[], Reader],
        hosts: Hosts,
        suffix: str = "",
        write: Callable[[Found], str] | None = None,
    ) -> None:
        super().initialize(reader, hosts)
        self._suffix, self._write = suffix, write or as_json

    async def get(self, *arguments: str) -> None:
        if found := await self.found(*arguments):
            self.set_header("Content-Type", "application/json")
            self.set_header(
                "Content-Disposition", f'attachment; filename="signin-{found[0].id}.{self._suffix}"'
            )
            self.finish(await asyncio.to_thread(self._write, found))


def as_json(found: Found) -> str:
    """All of it, as `lyncgate signin --json` prints it."""
    return json.dumps(codec.document(*found), indent=2) + "\n"


def as_har(found: Found) -> str:
    """Its exchanges, for other tools."""
    return json.dumps(har.of_sign_in(found[0]), indent=1) + "\n"
