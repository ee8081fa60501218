"""What a real sign-in through the edge leaves behind: each exchange says what went over the wire, and from
the first ticket on they all hang together by exact keys."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from lyncgate.client.names import NameMap
from lyncgate.engine.rules import read_rules
from lyncgate.engine.serve import running_edge
from lyncgate.lab.authority import client_context
from lyncgate.lab.estate import Estate
from lyncgate.lab.phones.devices import DEVICES
from lyncgate.lync.stages import Stage
from lyncgate.signin.diagnose import diagnose
from lyncgate.signin.events import Event, Handshake
from lyncgate.signin.exchange import Exchange, Kind
from lyncgate.signin.facts import Document
from lyncgate.signin.stitch import stitch
from lyncgate.signin.story import SignInOutcome

ALICE = "alice@contoso.example"
NO_MOBILITY = "frank@contoso.example"


@dataclasses.dataclass(frozen=True)
class SignedIn:
    """What the edge told of one phone's sign-in."""

    events: list[Event]

    @property
    def exchanges(self) -> list[Exchange]:
        """Finished ones, in the order they began."""
        finished = [e for e in self.events if isinstance(e, Exchange) and e.outcome is not None]
        return sorted(finished, key=lambda exchange: exchange.started)

    def one(self, **wanted: Any) -> Exchange:
        """The only exchange whose fields, or facts, are these."""
        (found,) = self.all(**wanted)
        return found

    def all(self, **wanted: Any) -> list[Exchange]:
        return [
            exchange
            for exchange in self.exchanges
            if all(
                getattr(exchange.facts if hasattr(exchange.facts, name) else exchange, name) == value
                for name, value in wanted.items()
            )
        ]


async def signed_in(directory: Path, device: str, user: str = ALICE, *, well: bool = True) -> SignedIn:
    events: list[Event] = []
    async with Estate.start(directory / "lab", poll_minimum=1.0) as estate:
        rules = directory / "rules.yaml"
        rules.write_text(estate.rules_yaml())
        async with running_edge(rules, read_rules(rules), events.append) as running:
            names: NameMap = estate.names(running.addresses["http"][0], running.addresses["https"][0])
            phone = DEVICES[device](
                user,
                f"P4ss-{user.partition('@')[0]}",  # the lab's
                names=names,
                tls=client_context(estate.directory),
                poll_timeout=2,
                push=estate.push.device_address,
            )
            report = await phone.sign_in()
            assert report.ok is well, report
    return SignedIn(events)


@pytest.fixture(scope="module")
def story(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SignedIn:
    return asyncio.run(signed_in(tmp_path_factory.mktemp(request.param), request.param))


def test_there_are_such_devices() -> None:
    assert {"wp75", "lync2013"} <= set(DEVICES)


both = pytest.mark.parametrize("story", ["wp75", "lync2013"], indirect=True)
wp75 = pytest.mark.parametrize("story", ["wp75"], indirect=True)
lync2013 = pytest.mark.parametrize("story", ["lync2013"], indirect=True)


@both
def test_discovery(story: SignedIn) -> None:
    turned = story.one(scheme="http", document=Document.REDIRECT)
    assert turned.stage == Stage.REDIRECT
    assert (turned.facts.redirect or "").startswith("https://")
    root = story.one(scheme="https", document=Document.ROOT)
    assert (root.stage, root.facts.access_location, root.keys.user) == (Stage.DISCOVER, "External", ALICE)
    assert {"User", "Self", "OAuth"} <= {token for token, _ in root.facts.links}
    assert root.facts.framing == "length"
    unproved, user = story.all(stage=Stage.LOCATE)
    assert (unproved.status, user.status) == (401, 200)
    assert unproved.facts.authentication_urls == (
        "https://lyncweb.contoso.example/WebTicket/WebTicketService.svc",
    )
    assert user.facts.document is Document.USER
    assert user.facts.ticket == "cwt"
    assert user.facts.upstream


@both
def test_the_ticket(story: SignedIn) -> None:
    first, challenge, granted = story.all(stage=Stage.TICKET, method="POST")[:3]
    assert story.all(stage=Stage.TICKET, method="GET")[0].facts.document is Document.MEX
    assert (first.facts.auth_offered, first.facts.auth_used) == (("Negotiate", "NTLM"), None)
    assert (challenge.facts.ntlm, challenge.facts.ntlm_challenge) == (1, True)
    assert (granted.facts.ntlm, granted.facts.auth_used, granted.keys.account) == (3, "NTLM", ALICE)
    assert granted.facts.document is Document.TICKET
    assert granted.facts.operation == "RequestSecurityToken"
    assert len({e.keys.connection for e in (first, challenge, granted)}) == 1
    user = story.one(stage=Stage.LOCATE, status=200)
    assert granted.keys.tickets == user.keys.tickets != ()


@both
def test_from_the_ticket_on_all_hang_together_by_exact_keys(story: SignedIn) -> None:
    began = story.all(stage=Stage.TICKET, method="POST")[0]
    group = set(began.keys.exact)
    later = [exchange for exchange in story.exchanges if exchange.started >= began.started]
    assert len(later) > 10
    for _ in later:  # as many rounds as the longest chain can have
        for exchange in later:
            if group & set(exchange.keys.exact):
                group |= set(exchange.keys.exact)
    alone = [f"{e.method} {e.path}" for e in later if not group & set(e.keys.exact)]
    # Asked without a ticket on a connection of its own: by nature it has no other key.
    assert [line for line in alone if not line.endswith("/mex")] == []


@both
def test_a_poll_is_told_when_it_begins_and_when_it_is_over(story: SignedIn) -> None:
    polls = [e for e in story.events if isinstance(e, Exchange) and e.kind is Kind.POLL]
    begun, over = polls[:2]
    assert begun.id == over.id
    assert (begun.outcome, begun.stage, over.outcome) == (None, Stage.NOTIFICATIONS, "ok")
    assert begun.keys.application == over.keys.application is not None
    assert over.facts.document is Document.EVENTS


@both
def test_connections_that_served_are_no_news(story: SignedIn) -> None:
    assert [event for event in story.events if isinstance(event, Handshake)] == []


@wp75
def test_what_a_phone_of_2010_is_told(story: SignedIn) -> None:
    made = story.one(operation="InitiateSession")
    assert (made.stage, made.facts.document) == (Stage.REGISTER, Document.APPLICATION)
    policy = dict(made.facts.settings)
    assert (policy["mobility policy scope"], policy["EnableMobility"]) == ("global", "true")
    told = dict(story.one(operation="GetProvisioning").facts.settings)
    assert story.one(operation="GetProvisioning").stage == Stage.PROVISIONING
    assert {
        *("voicemail", "simultaneous ring", "call forwarding", "delegation", "team call", "photos"),
        *("address book", "group expansion", "location information", "EnableMobility", "dial plan"),
    } <= set(told)
    assert story.one(operation="SubscribePush").stage == Stage.NOTIFICATIONS
    assert (story.one(operation="GetContacts").facts.contacts or 0) > 0
    certificate = story.one(document=Document.CERTIFICATE)
    assert (certificate.stage, certificate.keys.user) == (Stage.CERTIFICATE, ALICE)
    ticket = story.all(stage=Stage.TICKET, document=Document.TICKET)[1]
    assert certificate.keys.tickets == ticket.keys.tickets


@lync2013
def test_what_a_phone_of_2013_is_told(story: SignedIn) -> None:
    refused, made = story.all(stage=Stage.REGISTER)
    assert (refused.status, made.status) == (401, 201)
    assert (made.facts.document, made.keys.user) == (Document.APPLICATION, ALICE)
    assert made.keys.endpoint
    assert dict(story.one(stage=Stage.MOBILITY_POLICY).facts.settings)["saveCredentials"]
    assert story.one(stage=Stage.PROVISIONING).facts.settings
    contacts = [exchange for exchange in story.exchanges if exchange.facts.contacts]
    assert [exchange.stage for exchange in contacts] == [Stage.READY]


@pytest.mark.parametrize("device", ["wp75", "android2010", "lync2013"])
def test_who_may_not_use_mobility_fails_at_its_policy_even_if_only_the_edge_watches(
    device: str, tmp_path: Path
) -> None:
    """The pool's answer says so itself: no trace is needed."""
    told = asyncio.run(signed_in(tmp_path, device, NO_MOBILITY, well=False))
    (sign_in,) = stitch(told.events)
    assert (sign_in.outcome, sign_in.failed_stage) == (SignInOutcome.FAILED, Stage.MOBILITY_POLICY)
    assert {event.origin for event in sign_in.events} == {"edge"}
    assert [finding.code for finding in diagnose(sign_in)] == ["F40"]
