"""From the SIP domain to the user document's URL: DNS names, doors, root documents, redirects."""

from __future__ import annotations

from collections import Counter
from urllib.parse import urlsplit

from lyncgate.lync import autodiscover
from lyncgate.lync.autodiscover import Located
from lyncgate.lync.names import lyncdiscover_host, lyncdiscoverinternal_host
from lyncgate.lync.stages import Stage
from lyncgate.probe import judge
from lyncgate.probe.check import Verdict
from lyncgate.probe.doors import Door
from lyncgate.probe.judge import Judged
from lyncgate.probe.kit import Kit

MAX_REDIRECTS = 10  # protocol reference §2.2
TWICE = 2  # a circle is gone round: another server of a farm might have led out of it
XML = ("Accept", autodiscover.XML)
REPRESENTATIONS = (
    (autodiscover.JSON, autodiscover.JSON),
    (autodiscover.UCWA_JSON, autodiscover.UCWA_JSON),
    (autodiscover.UCWA_XML, autodiscover.UCWA_XML),
)
VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
WANTED_VERSION = "TLSv1.2"  # what iOS demands (protocol reference §9.10)


async def discover(kit: Kit) -> str | None:
    """The URL of the user document, by the names and in the order of a phone. None: there is no way."""
    internal = await _internal(kit)
    external = await _external(kit)
    document = internal or external
    if document is None:
        return None
    if kit.record.inside is None:
        kit.record.inside = False
    return await follow(kit, document)


async def _internal(kit: Kit) -> Located | None:
    """lyncdiscoverinternal: nothing outside, a document of the internal site inside."""
    record, host = kit.record, lyncdiscoverinternal_host(kit.plan.domain)
    what = f"look up {host}"
    if kit.plan.led(host) is None or kit.plan.inside:
        door = await kit.doors.open(host, Stage.DNS_INTERNAL, quiet_if_missing=True)
    else:
        record.check(Stage.DNS_INTERNAL, what, Verdict.SKIPPED, "all names are led elsewhere by an option")
        return None
    if not door.addresses:
        if door.missing:
            verdict = Verdict.FAIL if record.inside else Verdict.OK
            said = "no such name" + ("" if record.inside else ", as it should be outside")
            query = [e for e in record.walk if getattr(e, "name", None) == host][:1]
            record.check(Stage.DNS_INTERNAL, what, verdict, said, *query)
        return None
    document = None
    for scheme in ("https", "http"):
        if door.usable(scheme):
            document = document or await _root(kit, f"{scheme}://{host}/{kit.plan.query}", inside=True)
    internal = document is not None and document.access_location == "Internal"
    if record.inside is None and internal:
        record.inside = True
    if not record.inside:
        how = "answers as from outside" if document else "nothing there answers"
        said = f"resolves outside, to {', '.join(door.addresses)}, and {how}: phones lose time there"
        record.check(Stage.DNS_INTERNAL, what, Verdict.FAIL, said)
        return None
    return document


async def _external(kit: Kit) -> Located | None:
    record, plan = kit.record, kit.plan
    host = lyncdiscover_host(plan.domain)
    door = await kit.doors.open(host, Stage.DNS_DISCOVER)
    if not door.addresses:
        return None
    _judge_alias(kit, door)
    await _versions(kit, door)
    found: Located | None = None
    for scheme in ("https", "http"):
        if not door.usable(scheme):
            if scheme == "http" and door.trusted:
                record.check(
                    Stage.REDIRECT, f"http://{host}/", Verdict.SKIPPED, "port 80 is closed; 443 will do"
                )
            continue
        document = await _root(kit, f"{scheme}://{host}/{plan.query}", inside=False)
        found = found or document
    if door.trusted:
        with record.beside():
            await _representations(kit, host)
    return found


def _judge_alias(kit: Kit, door: Door) -> None:
    """An alias into another domain asks for trouble where the certificate does not have the name (§1.5)."""
    outside = [alias for alias in door.aliases if not judge.in_domain(alias, kit.plan.domain)]
    if outside and not door.trusted:
        said = f"alias of {outside[0]}, in another domain: the certificate has to be for {door.host} still"
        kit.record.check(Stage.DNS_DISCOVER, f"look up {door.host}", Verdict.FAIL, said)


async def _versions(kit: Kit, door: Door) -> None:
    """Which versions of TLS are taken, each offered alone."""
    record = kit.record
    if not door.shown:
        return
    for version in VERSIONS:
        what = f"{version} at {door.host}"
        tried = await kit.doors.try_version(door, version)
        if tried is None:
            record.check(Stage.CONNECT, what, Verdict.SKIPPED, "this machine's OpenSSL can't offer it")
            continue
        shake, taken = tried
        needed = version == WANTED_VERSION or (version == "TLSv1" and kit.plan.old_clients)
        verdict = Verdict.OK if taken or not needed else Verdict.FAIL
        said = "taken" if taken else f"refused ({shake.detail})"
        if not taken and not needed and version == "TLSv1":
            said += ": right, unless phones of 2010 are in use (--old-clients)"
        if taken or needed:
            with record.beside():
                record.saw(shake)
            record.check(Stage.CONNECT, what, verdict, said, shake)
        else:
            record.check(Stage.CONNECT, what, verdict, said, seconds=shake.seconds)


async def _root(kit: Kit, url: str, *, inside: bool, stage: Stage = Stage.DISCOVER) -> Located | None:
    """A root document, by way of redirects of HTTP within the domain."""
    seen: set[str] = set()
    for _ in range(MAX_REDIRECTS):
        answer = await kit.web.ask(url, headers=[XML])
        what = f"GET {url.partition('?')[0]}"
        if answer.reply is None:
            kit.say(stage, what, Verdict.FAIL, answer.problem, answer)
            return None
        judged = judge.root(url, answer.reply, kit.plan.domain, inside=inside)
        turned = url.startswith("http://") and (judged.onward or _redirect(judged))
        kit.say(Stage.REDIRECT if turned else stage, what, judged.verdict, judged.said, answer)
        seen.add(url)
        if judged.onward is None:
            return judged.document
        if judged.onward in seen:
            kit.say(stage, what, Verdict.FAIL, f"a circle: {judged.onward} again", answer)
            return None
        url = judged.onward
        host = judge.host_of(url)
        if not (await kit.doors.open(host)).usable(urlsplit(url).scheme):
            kit.say(stage, what, Verdict.FAIL, f"leads to {host}, where no client gets in", answer)
            return None
    kit.record.check(stage, f"GET {url}", Verdict.FAIL, f"more than {MAX_REDIRECTS} redirects")
    return None


def _redirect(judged: Judged) -> str | None:
    return judged.document.href("Redirect") if judged.document else None


async def follow(kit: Kit, document: Located) -> str | None:
    """The user document's URL that a root leads to, by way of documents that say Redirect."""
    record, asked = kit.record, Counter[str]()
    for _ in range(MAX_REDIRECTS):
        await open_all(kit, document)
        if user := document.href("User") or document.href("OAuth"):
            return user if await _can_ask(kit, user) else None
        target = document.href("Redirect") or ""
        what = f"redirect to {target.partition('?')[0]}"
        if asked[target] == TWICE:
            record.check(Stage.LOCATE, what, Verdict.FAIL, "a circle: that was asked before")
            return None
        asked[target] += 1
        if not await _can_ask(kit, target):
            return None
        found = await _root(kit, target, inside=bool(record.inside), stage=Stage.LOCATE)
        if found is None:
            return None
        document = found
    record.check(Stage.LOCATE, "redirects", Verdict.FAIL, f"more than {MAX_REDIRECTS} of them")
    return None


async def open_all(kit: Kit, document: Located) -> None:
    """The doors of all hosts that a document names."""
    for token, url, why in judge.broken(document.links):
        kit.record.check(Stage.LOCATE, f"{token}, {url}", Verdict.FAIL, why)
    for host in judge.hosts(document.links):
        await kit.doors.open(host)


async def _can_ask(kit: Kit, url: str) -> bool:
    """Whether a client gets in where a URL leads, by HTTPS; if not, lines of its host say why."""
    host = judge.host_of(url)
    return bool(host) and url.startswith("https://") and (await kit.doors.open(host)).trusted


async def _representations(kit: Kit, host: str) -> None:
    """The root for who asks for other forms: UCWA's applications, browsers."""
    for accept, wanted in REPRESENTATIONS:
        answer = await kit.web.ask(f"https://{host}/{kit.plan.query}", headers=[("Accept", accept)])
        what = f"root as {accept.partition(';')[0]}"
        if answer.reply is None:
            kit.say(Stage.DISCOVER, what, Verdict.FAIL, answer.problem, answer)
            continue
        if answer.status != 200:
            continue  # said of the first form already
        judged = judge.representation(accept, wanted, answer.reply)
        kit.say(Stage.DISCOVER, what, judged.verdict, judged.said, answer)
