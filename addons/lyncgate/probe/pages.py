"""What is published beside the services: URLs handed out, simple URLs, SIP names, and what must not be."""

from __future__ import annotations

import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from lyncgate.client.names import Address
from lyncgate.lync.autodiscover import Located
from lyncgate.lync.names import lyncdiscover_host
from lyncgate.lync.stages import Stage
from lyncgate.probe import judge, net
from lyncgate.probe.answer import ORIGIN
from lyncgate.probe.check import Verdict
from lyncgate.probe.discovery import open_all
from lyncgate.probe.kit import Kit
from lyncgate.probe.plan import AGENT, HTTPS
from lyncgate.signin.events import Handshake, HandshakeOutcome
from lyncgate.signin.plain import plain

FORBIDDEN = ("/cscp", "/OcsPowerShell")  # protocol reference §8
SIP_NAMES = ("sip", "sipexternal")
SRV = (  # (name, whether its lack is one outside, what it is for)
    ("_sipinternaltls._tcp", "desktop clients inside"),
    ("_sip._tls", "desktop clients outside"),
    ("_sipfederationtls._tcp", "federation, and with it push notifications"),
)


async def links(kit: Kit, document: Located) -> None:
    """Every URL of a document that phones outside use: its host's door, and what it answers."""
    await open_all(kit, document)
    for token, url in judge.urls(document.links):
        parts = urlsplit(url)
        door = await kit.doors.open(judge.host_of(url))
        if token not in judge.EXPECTED or not door.usable(parts.scheme):
            continue
        with kit.record.beside():
            answer = await kit.web.ask(url)
        what = f"{token}, {parts.hostname}{parts.path}"
        if answer.reply is None:
            kit.say(_stage(token), what, Verdict.FAIL, answer.problem, answer)
            continue
        judged = judge.handed_out(token, answer.reply)
        kit.say(_stage(token), what, judged.verdict, judged.said, answer)


def _stage(token: str) -> Stage:
    return Stage.REGISTER if token.endswith(("Mcx", "Ucwa")) else Stage.LOCATE


async def simple_urls(kit: Kit) -> None:
    """meet and dialin. Names that nobody told us are guessed, and their lack is no failure."""
    for label, told in (("meet", kit.plan.meet), ("dialin", kit.plan.dialin)):
        host = told or f"{label}.{kit.plan.domain}"
        what = f"https://{host}/"
        with kit.record.beside():
            door = await kit.doors.open(host, None, quiet_if_missing=told is None)
            if door.missing and told is None:
                said = f"no such name; --{label} names another"
                kit.record.check(None, what, Verdict.SKIPPED, said)
                continue
            if not door.trusted:
                kit.record.check(None, what, Verdict.FAIL, "no client gets in")
                continue
            answer = await kit.web.ask(what)
        good = answer.status is not None and answer.status < 400 and answer.server is not None
        kit.say(None, what, Verdict.OK if good else Verdict.FAIL, answer.said, answer)


async def plain_http(kit: Kit, hosts: Sequence[str]) -> None:
    """What port 80 of names other than lyncdiscover does. Nothing needs it; it should not lead astray."""
    for host in hosts:
        door = await kit.doors.open(host, None)
        if not door.usable("http"):
            continue
        before = len(kit.record.extra)
        with kit.record.beside():
            answer = await kit.web.ask(f"http://{host}/")
        del kit.record.extra[before:]  # no client of Lync's asks this
        location = answer.exchange.facts.redirect or ""
        astray = bool(location) and judge.host_of(location) != host
        said = f"{answer.said}{', to ' + location if location else ''}"
        verdict = Verdict.WARN if astray or answer.reply is None else Verdict.OK
        kit.record.check(None, f"http://{host}/", verdict, said, seconds=answer.exchange.seconds)


async def web_apps(kit: Kit) -> None:
    """The Office Web Apps server, whose name no document of sign-in tells."""
    host = kit.plan.web_apps
    if host is None:
        return
    url = f"https://{host}/hosting/discovery"
    with kit.record.beside():
        door = await kit.doors.open(host, None)
        if not door.trusted:
            kit.record.check(None, url, Verdict.FAIL, "no client gets in")
            return
        answer = await kit.web.ask(url)
    good = answer.status == 200 and b"wopi-discovery" in answer.body
    if good:
        said = "200, WOPI discovery"
    else:
        said = f"{answer.status} and no WOPI discovery" if answer.reply else answer.problem
    kit.say(None, url, Verdict.OK if good else Verdict.FAIL, said, answer)


async def forbidden(kit: Kit, web: str) -> None:
    """Paths of the external site that should not be met from outside."""
    if kit.record.inside or not (await kit.doors.open(web)).trusted:
        return
    for path in FORBIDDEN:
        url = f"https://{web}{path}/"
        line = await kit.web.line(url)
        before = len(kit.record.extra)
        with kit.record.beside():
            answer = await kit.web.ask(url, line=line)
        await line.close()
        published = answer.reply is not None and answer.status not in (403, 404, 421)
        if published:
            said = f"{answer.said}: administration, which should not be published"
            kit.say(None, url, Verdict.WARN, said, answer)
        else:
            del kit.record.extra[before:]  # a good result, and none of a sign-in's
            kit.record.check(
                None, url, Verdict.OK, f"not published: {answer.said}", seconds=answer.exchange.seconds
            )


async def services(kit: Kit) -> None:
    """SRV records. None of them is asked for by phones."""
    for name, use in SRV:
        with kit.record.beside():
            query = await kit.names.ask(f"{name}.{kit.plan.domain}", "SRV")
        found = [answer for answer in query.answers if answer.startswith("SRV ")]
        inside_only = name == "_sipinternaltls._tcp"
        said = f"{', '.join(found) or query.rcode or 'no answer'} ({use})"
        if inside_only and not kit.record.inside:
            verdict = Verdict.WARN if found else Verdict.OK
        else:
            verdict = Verdict.OK if found else Verdict.WARN
        kit.record.check(None, f"SRV {query.name}", verdict, said, query)


async def sip_names(kit: Kit) -> None:
    """Where SIP clients fall through to (protocol reference §1.10): not the reverse proxy."""
    plan, record = kit.plan, kit.record
    web = kit.doors.known.get(lyncdiscover_host(plan.domain))
    for label in SIP_NAMES:
        host = f"{label}.{plan.domain}"
        with record.beside():
            if any(lead.host is None and lead.to_host for lead in plan.leads if lead.fits(host, HTTPS)):
                continue  # --server: all names are there, and it is no SIP server
            found = await kit.names.look_up(host)
            if not found.addresses:
                record.check(None, f"look up {host}", Verdict.OK, f"{found.said}; not needed", *found.queries)
                continue
            address = plan.address(host, found.addresses[0], HTTPS)
            shake = await _speak(kit, host, found.addresses[0], address)
            same = web is not None and found.addresses[0] in web.addresses
            if shake.outcome is HandshakeOutcome.NOT_HTTP or (same and shake.outcome is HandshakeOutcome.OK):
                record.saw(shake)
                said = f"is at {found.addresses[0]}, where HTTP is spoken: SIP clients end up at the proxy"
                record.check(None, f"SIP at {host}", Verdict.FAIL, said, shake)
            else:
                record.check(
                    None, f"SIP at {host}", Verdict.OK, shake.detail or "no HTTP there", seconds=shake.seconds
                )


async def _speak(kit: Kit, host: str, found: str, address: Address) -> Handshake:
    """One OPTIONS over TLS (RFC 3261 §11): whoever answers in HTTP is no SIP server."""
    message = (
        f"OPTIONS sip:{host} SIP/2.0\r\nVia: SIP/2.0/TLS probe.invalid;branch=z9hG4bKprobe\r\n"
        f"Max-Forwards: 1\r\nFrom: <sip:probe@{kit.plan.domain}>;tag=1\r\nTo: <sip:{host}>\r\n"
        f"Call-ID: {kit.record.new_id()}\r\nCSeq: 1 OPTIONS\r\nUser-Agent: {AGENT}\r\n"
        "Content-Length: 0\r\n\r\n"
    )
    started = time.time()
    began = time.perf_counter()
    words = await net.first_words(address, host, message.encode(), kit.plan.patience)
    http = words is not None and words.upper().startswith("HTTP/")
    outcome = HandshakeOutcome.NOT_HTTP if http else HandshakeOutcome.OK
    if words is None:
        outcome = HandshakeOutcome.UNREACHABLE
    return Handshake(
        id=kit.record.new_id(),
        started=started,
        origin=ORIGIN,
        keys=kit.record.keys,
        seconds=time.perf_counter() - began,
        address=f"{found}:{HTTPS}",
        server_name=host,
        outcome=outcome,
        detail=f"answers SIP with {plain(words, 60)}" if words else "",
        first_words="sip" if http else None,
    )
