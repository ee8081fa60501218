"""The 401, the ticket, the user document; and on to the home pool when that is another.

The password is proved once a pool by NTLM, and never again after a refusal: accounts are locked for less. A
refusal can mean a wrong password or a proxy that tears the handshake apart. To tell them apart, the same
password is shown once more if the plan says so, to `oauthtoken`, where authentication is not bound to the
connection (protocol reference §3.5).
"""

from __future__ import annotations

import dataclasses
import urllib.parse
import uuid
from urllib.parse import urljoin, urlsplit

import spnego
from spnego.exceptions import SpnegoError

from lyncgate.client import ntlm
from lyncgate.lync import certprov, mex, wstrust
from lyncgate.lync.autodiscover import Located
from lyncgate.lync.stages import Stage
from lyncgate.lync.wstrust import COMPACT_TOKEN, TokenRequest
from lyncgate.probe import discovery, judge
from lyncgate.probe.answer import Answer
from lyncgate.probe.check import Verdict
from lyncgate.probe.discovery import XML
from lyncgate.probe.kit import Home, Kit, Ticket
from lyncgate.probe.web import Line

PORT = "WebTicketServiceWinNegotiate"
OAUTH = "/WebTicket/oauthtoken"
_HEADERS = [("Content-Type", wstrust.XML), ("SOAPAction", f'"{wstrust.ISSUE}"')]


@dataclasses.dataclass(frozen=True, slots=True)
class Credentials:
    """`name`: SIP address, UPN or `DOMAIN\\user`."""

    name: str
    password: str = dataclasses.field(repr=False)


async def sign_in(kit: Kit, user_url: str, credentials: Credentials | None) -> Home | None:
    """The user document of the home pool. None: the walk ends here, and a line says why."""
    url, seen = user_url, set[str]()
    while url not in seen:
        seen.add(url)
        service = await _service(kit, url)
        if service is None:
            return None
        ticket = await _ticket(kit, service, url, credentials)
        await _certificates(kit, service)
        if ticket is None:
            return None
        document = await _user_document(kit, url, ticket)
        if document is None:
            return None
        target = document.href("Redirect")
        if target is None:
            return Home(document, ticket)
        onward = await discovery.follow(kit, document)
        if onward is None:
            return None
        url = onward
    kit.record.check(Stage.LOCATE, f"GET {_path(url)}", Verdict.FAIL, "a circle: that pool was asked before")
    return None


async def _service(kit: Kit, url: str) -> str | None:
    """Where tickets are had, as the user document's 401 says."""
    answer = await kit.web.ask(url, headers=[XML])
    what = f"GET {_path(url)} without a ticket"
    if answer.reply is None or answer.status != 401:
        kit.say(Stage.LOCATE, what, Verdict.FAIL, f"{answer.said}, where 401 is right", answer)
        return None
    offered = ", ".join(judge.schemes(answer.reply))
    where = answer.header("x-ms-webticketurl")
    if where is None:
        said = f"401 {judge.who(answer.reply)} offers {offered or 'nothing'}, and no web ticket service"
        kit.say(Stage.LOCATE, what, Verdict.FAIL, said, answer)
        return None
    service = where if where.startswith("https://") else ""
    kit.say(Stage.LOCATE, what, Verdict.OK, f"401 {judge.who(answer.reply)}, {offered}", answer)
    host = judge.host_of(service)
    if not host or not (await kit.doors.open(host)).trusted:
        said = f"tickets are had at {where}, where nobody should show a password"
        kit.record.check(Stage.TICKET, "web ticket service", Verdict.FAIL, said)
        return None
    return service


async def _ticket(kit: Kit, service: str, applies_to: str, credentials: Credentials | None) -> Ticket | None:
    answer = await kit.web.ask(f"{service}/mex")
    what = f"GET {_path(service)}/mex"
    try:
        if answer.reply is None or answer.status != 200:
            raise ValueError(answer.said)
        location = mex.port_location(answer.body, PORT)
        if not location.startswith("https://") or judge.unusable(location):
            raise ValueError(f"{PORT} is at {location}, which {judge.unusable(location) or 'is not HTTPS'}")
    except ValueError as error:
        kit.say(Stage.TICKET, what, Verdict.FAIL, str(error), answer)
        return None
    kit.say(Stage.TICKET, what, Verdict.OK, f"{PORT} is {location}", answer)
    if not (await kit.doors.open(judge.host_of(location))).trusted:
        return None
    line = await kit.web.line(location)
    try:
        return await _windows(kit, line, location, applies_to, credentials)
    finally:
        await line.close()


async def _windows(
    kit: Kit, line: Line, location: str, applies_to: str, credentials: Credentials | None
) -> Ticket | None:
    """NTLM on one connection: 401, challenge, ticket."""
    wanted = TokenRequest(str(uuid.uuid4()), COMPACT_TOKEN, applies_to)
    body, what = wanted.document(), f"POST {_path(location)}"

    async def post(*proof: tuple[str, str]) -> Answer:
        return await kit.web.ask(location, "POST", [*_HEADERS, *proof], body, line=line)

    first = await post()
    if first.reply is None or first.status != 401:
        kit.say(Stage.TICKET, what, Verdict.FAIL, f"{first.said}, where 401 is right", first)
        return None
    offered = judge.schemes(first.reply)
    said = f"401 {judge.who(first.reply)}, offers {', '.join(offered) or 'nothing'}"
    if "NTLM" not in offered:
        said += "; NTLM is not there, and phones outside have nothing else"
        kit.say(Stage.TICKET, what, Verdict.FAIL, said, first)
        return None
    kit.say(Stage.TICKET, f"{what} without credentials", Verdict.OK, said, first)
    if credentials is None:
        said = "no password was given: the walk ends at the 401"
        kit.record.check(Stage.TICKET, "web ticket", Verdict.SKIPPED, said)
        return None
    windows = spnego.client(credentials.name, credentials.password, protocol="ntlm")
    second = await post(ntlm.authorization(windows.step()))
    try:
        if second.reply is None or second.status != 401:
            raise ValueError(second.said)
        proof = ntlm.authorization(windows.step(ntlm.challenge(second.reply)))
    except (ValueError, SpnegoError) as error:
        kit.say(Stage.TICKET, f"{what}, NTLM begins", Verdict.FAIL, f"no challenge: {error}", second)
        return None
    kit.say(Stage.TICKET, f"{what}, NTLM begins", Verdict.OK, f"challenge, {judge.who(second.reply)}", second)
    return await _judged(kit, await post(proof), wanted, f"{what}, NTLM ends", location, credentials)


async def _judged(
    kit: Kit, answer: Answer, wanted: TokenRequest, what: str, location: str, credentials: Credentials
) -> Ticket | None:
    if answer.status == 200:
        try:
            response = wstrust.parse_token_response(answer.body)
            if (response.context, response.token_type) != (wanted.context, wanted.token_type):
                raise ValueError("the answer to another request")
        except ValueError as error:
            kit.say(Stage.TICKET, what, Verdict.FAIL, f"200, and no ticket: {error}", answer)
            return None
        kit.say(Stage.TICKET, what, Verdict.OK, f"a web ticket, until {response.expires}", answer)
        return Ticket(response.token)
    diagnostics = answer.exchange.facts.diagnostics_text
    kit.say(
        Stage.TICKET, what, Verdict.FAIL, answer.said + (f": {diagnostics}" if diagnostics else ""), answer
    )
    if answer.status == 401:
        await _second_way(kit, location, credentials)
    return None


async def _second_way(kit: Kit, location: str, credentials: Credentials) -> None:
    """Is it the password, or the way that NTLM takes? To ask costs an attempt of those before a lockout."""
    what = f"POST {OAUTH}, the same password without NTLM"
    if not kit.plan.second_try:
        said = "not tried, a password that was refused is shown once; --second-try, where a lockout is far"
        kit.record.check(Stage.TICKET, what, Verdict.SKIPPED, said)
        return
    form = {"grant_type": "password", "username": credentials.name, "password": credentials.password}
    with kit.record.beside():
        answer = await kit.web.ask(
            urljoin(location, OAUTH),
            "POST",
            [("Content-Type", "application/x-www-form-urlencoded;charset=UTF-8")],
            urllib.parse.urlencode(form).encode(),
            lane="oauth",
        )
    if answer.status == 200:
        said = "taken: the password is right, and NTLM is broken on its way"
        kit.say(Stage.TICKET, what, Verdict.WARN, said, answer)
    elif answer.exchange.facts.error == "invalid_grant":
        kit.say(Stage.TICKET, what, Verdict.FAIL, "refused too: the name or the password is wrong", answer)
    else:
        kit.say(Stage.TICKET, what, Verdict.SKIPPED, f"{answer.said}: does not tell", answer)


async def _user_document(kit: Kit, url: str, ticket: Ticket) -> Located | None:
    answer = await kit.web.ask(url, headers=[XML, *ticket.headers])
    what = f"GET {_path(url)} with the ticket"
    if answer.reply is None:
        kit.say(Stage.LOCATE, what, Verdict.FAIL, answer.problem, answer)
        return None
    if answer.status == 404 and not answer.body:
        said = f"404 {judge.who(answer.reply)} with no body: the pool doesn't know where the user is at home"
        kit.say(Stage.LOCATE, what, Verdict.FAIL, said, answer)
        return None
    inside = bool(kit.record.inside)
    judged = judge.root(url, answer.reply, kit.plan.domain, inside=inside, kind="User")
    kit.say(Stage.LOCATE, what, judged.verdict, judged.said, answer)
    return judged.document


async def _certificates(kit: Kit, service: str) -> None:
    """Certificate provisioning, by its metadata: a certificate would stay in the user's store."""
    url = f"{urljoin(service, certprov.SERVICE)}/mex"
    with kit.record.beside():  # it proves that the service can be reached; the stage is that of a certificate
        answer = await kit.web.ask(url)
    what = f"GET {_path(url)}"
    if answer.reply is None or answer.status != 200:
        kit.say(Stage.CERTIFICATE, what, Verdict.FAIL, answer.said, answer)
        return
    try:
        mex.port_location(answer.body, certprov.PORT)
    except ValueError as error:
        kit.say(Stage.CERTIFICATE, what, Verdict.FAIL, str(error), answer)
        return
    said = f"published, {judge.who(answer.reply)}; no certificate is asked for, it would stay there"
    kit.say(Stage.CERTIFICATE, what, Verdict.OK, said, answer)


def _path(url: str) -> str:
    return urlsplit(url).path
