"""What one exchange tells, gathered while it is read: secrets are in here, and end here."""

from __future__ import annotations

from typing import Any

from lyncgate.lync.stages import Stage
from lyncgate.signin.facts import SETTINGS, Document, Facts
from lyncgate.signin.keys import Hasher, Keys
from lyncgate.signin.plain import plain

_TICKETS = 4  # of one exchange: one is shown, one is issued
_NAME_LIMIT = 128  # characters of an address, an account or an endpoint

type Pairs = list[tuple[str, str]]


class Told:
    """`facts`: fields of Facts that are as they shall be, and so are `links`. Other texts from outside go
    into the other attributes, which `to_facts` and `to_keys` bound and hash. `application`: id of a UCWA
    application or MCX session, in clear; `below`: the path below it; `stage`: the one that the bodies show,
    if they show one; `over`: they show that it is none."""

    __slots__ = (
        "account", "application", "authentication_urls", "below", "document", "endpoint", "facts", "links",
        "over", "poll", "settings", "stage", "tickets", "user",
    )  # fmt: skip

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {}
        self.tickets: list[str] = []
        self.application: str | None = None
        self.below = ""
        self.endpoint: str | None = None
        self.user: str | None = None
        self.account: str | None = None
        self.authentication_urls: list[str] = []
        self.links: tuple[tuple[str, str], ...] = ()
        self.settings: Pairs = []
        self.document: Document | None = None
        self.stage: Stage | None = None
        self.over = False
        self.poll = False

    def to_facts(self) -> Facts:
        """The facts, bounded."""
        facts = self.facts
        facts["document"] = self.document
        if self.links:
            facts["links"] = self.links
        if self.settings:
            facts["settings"] = tuple(
                [(plain(name, 60), plain(value)) for name, value in self.settings[:SETTINGS]]
            )
        if self.authentication_urls:
            facts["authentication_urls"] = tuple(dict.fromkeys(self.authentication_urls))[:4]
        return Facts(**facts)

    def to_keys(
        self, hasher: Hasher, *, connection: str | None, client: str | None, agent: str | None
    ) -> Keys:
        """The keys, secrets hashed."""
        return Keys(
            connection=connection,
            tickets=tuple([hasher(one) for one in dict.fromkeys(self.tickets)][:_TICKETS])
            if self.tickets
            else (),
            application=hasher(self.application) if self.application else None,
            endpoint=(plain(self.endpoint.lower(), _NAME_LIMIT) or None) if self.endpoint else None,
            user=self.user,
            account=(plain(self.account, _NAME_LIMIT) or None) if self.account else None,
            client=client,
            agent=agent,
        )
