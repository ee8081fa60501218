"""A capture as a script for mitmproxy's own tools: they show and keep flows, and may change them; a journal
of sign-ins is written beside, and the tool's log says how each one ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

import certifi
from mitmproxy import ctx, exceptions
from mitmproxy.addonmanager import Loader
from mitmproxy.log import ALERT

from lyncgate.engine.capture.exchanges import Exchanges
from lyncgate.engine.capture.handshakes import Handshakes
from lyncgate.engine.capture.master import OPTIONS
from lyncgate.engine.master import StartError, require_versions
from lyncgate.observe.journal.observer import Dropped
from lyncgate.observe.journal.writer import Journal
from lyncgate.policy import policy
from lyncgate.policy.certificates import der_blocks
from lyncgate.signin.finding import Finding
from lyncgate.signin.rows import outcome_words
from lyncgate.signin.shown import shown
from lyncgate.signin.story import SignIn

log = logging.getLogger(__name__)

# With pyOpenSSL of 2025 on, stock mitmproxy fails when its versions of TLS are set: there they stay.
_LEFT = ("tls_version_client_min", "tls_version_server_min")


class StockCapture:
    """Holds the capture's addons once the journal's place is known."""

    def __init__(self) -> None:
        self.addons: list[object] = []
        self._journal: Journal | None = None
        self._loop = asyncio.get_running_loop()

    def load(self, loader: Loader) -> None:
        loader.add_option("journal", str, "lyncgate-capture.db", "lyncgate: where sign-ins are kept.")

    def configure(self, updated: set[str]) -> None:
        if "journal" not in updated or self.addons:
            return
        upstream_ca = ctx.options.ssl_verify_upstream_trusted_ca
        files = [Path(certifi.where()), *([Path(upstream_ca)] if upstream_ca else [])]
        try:
            require_versions()
            anchors = tuple(der for file in files for der in der_blocks(file.read_bytes()))
            journal = Journal(policy.Journal(path=ctx.options.journal), self)
        except (OSError, StartError) as error:
            raise exceptions.OptionsError(str(error)) from error
        self._journal = journal
        for addon in (
            Exchanges(journal.hasher, journal.append),
            Handshakes(journal.append, anchors, (), _refused),
        ):
            ctx.master.addons.register(addon)
            self.addons.append(addon)

    def running(self) -> None:
        """What the user has set stays set."""
        wanted = {name: value for name, value in OPTIONS.items() if name not in _LEFT}
        ctx.options.update(
            **{name: value for name, value in wanted.items() if not ctx.options.has_changed(name)}
        )

    def done(self) -> None:
        if self._journal is not None:
            self._journal.flush()
            self._journal.close()

    # What the journal tells, from its own thread.

    def sign_in_settled(self, sign_in: SignIn, findings: Sequence[Finding]) -> None:
        who = shown(sign_in.user or sign_in.account or "somebody")
        said = f"lyncgate: {who} {outcome_words(sign_in.outcome, sign_in.failed_stage)}"
        if findings:
            said += f": {findings[0].code} {shown(findings[0].title)}"
        self._loop.call_soon_threadsafe(log.log, ALERT, said)

    def journaled(self, events: int) -> None: ...
    def journal_state(self, size: int, open_sign_ins: int) -> None: ...

    def journal_dropped(self, reason: Dropped, events: int) -> None:
        self._loop.call_soon_threadsafe(log.warning, "lyncgate: %d events lost: %s", events, reason)


def _refused(client: str, name: str, said: str) -> None:
    log.log(
        ALERT, "lyncgate: %s does not trust this capture (%s: %s); see http://mitm.it", client, name, said
    )
