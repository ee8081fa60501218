"""What answers are worth: verdicts on documents and pages, and the words for them. Pure.

Words that name a code of the catalogue are left to the findings; here it is said what was seen.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from urllib.parse import urljoin, urlsplit

from lyncgate.client.http import Reply
from lyncgate.lync import autodiscover
from lyncgate.lync.autodiscover import DocumentError, Located
from lyncgate.probe.answer import SERVER
from lyncgate.probe.check import Verdict
from lyncgate.probe.plan import PORTS

_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9._-]{0,251}[a-z0-9])?")
REDIRECTS = (301, 302, 303, 307, 308)
_ANYTHING = (200, 400, 401, 405, 500)  # that a service says to a browser's GET, which is Microsoft's test
# What a URL that was handed out answers to who has no ticket, by its token (protocol reference §2, §9.12).
EXPECTED = {
    "Domain": (200,),
    "Self": (200, 401),
    "User": (401,),
    "OAuth": (401,),
    "XFrame": (200,),
    "External/XFrame": (200,),
    "Ucwa": (401,),
    "External/Ucwa": (401,),
    "Internal/Mcx": _ANYTHING,
    "External/Mcx": _ANYTHING,
}
USED_OUTSIDE = ("External/", "Internal/Mcx", "Ucwa", "XFrame", "Domain", "Self", "User", "OAuth", "Redirect")


@dataclasses.dataclass(frozen=True, slots=True)
class Judged:
    """`document`: what the answer says, if it can be used. `onward`: where a redirect of HTTP leads that a
    phone follows."""

    verdict: Verdict
    said: str
    document: Located | None = None
    onward: str | None = None


def host_of(url: str) -> str:
    """The host of a URL that `unusable` has nothing against; "" of any other."""
    return "" if unusable(url) else (urlsplit(url).hostname or "").lower()


def unusable(url: str) -> str:
    """Why nobody can ask what a document or header names as a URL; "" if one can."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return "is no URL"
    if parts.scheme not in PORTS or not _HOST.fullmatch(host) or not url.isascii() or not url.isprintable():
        return "is no URL of the web"
    if any(len(label) > 63 for label in host.split(".")):
        return "has a host that DNS can't have"
    if port not in (None, PORTS[parts.scheme]):
        return f"names port {port}, and only {PORTS[parts.scheme]} is published"
    return ""


def in_domain(host: str, domain: str) -> bool:
    """Whether a host is the SIP domain's."""
    return f".{host.lower()}".endswith(f".{domain}")


def who(reply: Reply) -> str:
    """Who answered, as far as that shows."""
    return f"from {reply.header(SERVER)}" if reply.header(SERVER) else "not from the pool"


def root(url: str, reply: Reply, domain: str, *, inside: bool, kind: str = "Root") -> Judged:
    """The answer to a request for a root document, or (`kind` User) a user document. `inside`: it was asked
    for by an internal name, which has an internal document."""
    if reply.status in REDIRECTS:
        return _redirected(url, reply, domain)
    media = (reply.header("content-type") or "no media type").partition(";")[0]
    if reply.status != 200:
        page = ", an HTML page" if media == "text/html" else ""
        return Judged(Verdict.FAIL, f"{reply.status} {who(reply)}{page}, and no document")
    if media == "text/html":
        return Judged(Verdict.FAIL, f"an HTML page {who(reply)}, where a document is wanted")
    try:
        parse = autodiscover.parse_user if kind == "User" else autodiscover.parse_root
        document = parse(reply.header("content-type") or "", reply.body)
    except DocumentError as error:
        return Judged(Verdict.FAIL, f"200 {who(reply)}, and no document that phones take: {error}")
    said = _document_said(document, reply)
    if reply.header("content-length") is None and reply.header("transfer-encoding") is None:
        said = f"the body ends with the connection, which some clients don't take; {said}"
        return Judged(Verdict.WARN, said, document)
    if document.access_location == "Internal" and not inside:
        said = f"AccessLocation Internal: the pool's internal site answers to who is outside; {said}"
        return Judged(Verdict.FAIL, said, document)
    redirect = document.href("Redirect")
    if redirect and (not redirect.startswith("https://") or unusable(redirect)):
        why = unusable(redirect) or "is not HTTPS"
        return Judged(Verdict.FAIL, f"leads to {redirect.partition('?')[0]}, which {why}")
    if kind == "Root" and not redirect and document.href("User") is None and document.href("OAuth") is None:
        return Judged(Verdict.FAIL, f"has neither User nor Redirect; {said}")
    return Judged(Verdict.OK, said, document)


def _redirected(url: str, reply: Reply, domain: str) -> Judged:
    try:
        target = urljoin(url, reply.header("location") or "")
    except ValueError:
        target = ""
    if why := unusable(target):
        return Judged(Verdict.FAIL, f"{reply.status}, and where to {why}")
    parts, host = urlsplit(target), host_of(target)
    if not in_domain(host, domain):
        return Judged(
            Verdict.FAIL,
            f"{reply.status}, redirected to {host}, which is not in {domain}: phones give up there",
        )
    said = f"{reply.status}, redirected to {parts.scheme}://{host}{parts.path}"
    if url.startswith("http://") and parts.scheme == "https" and host == host_of(url):
        said += "; phones follow, and some clients do not: the pool's document has a Redirect of its own"
    return Judged(Verdict.WARN, said, onward=target)


def _document_said(document: Located, reply: Reply) -> str:
    by = f", {who(reply)}" if reply.header(SERVER) else ""
    if target := document.href("Redirect"):
        return f"leads to {target.partition('?')[0]}{by}"
    tokens = ", ".join(token for token, _ in document.links[:4]) + ("…" if document.links[4:] else "")
    location = f"AccessLocation {document.access_location}, " if document.access_location else ""
    return f"{location}links {tokens}{by}"


def representation(accept: str, wanted: str, reply: Reply) -> Judged:
    """Whether a root document came in the form that was asked for."""
    media = (reply.header("content-type") or "").partition(";")[0].strip().lower()
    if reply.status != 200:
        return Judged(Verdict.FAIL, f"{reply.status} {who(reply)}")
    if media != wanted.partition(";")[0]:
        return Judged(Verdict.FAIL, f"comes as {media or 'nothing'}: who asks for {accept} takes it for none")
    try:
        autodiscover.parse_root(media, reply.body)
    except DocumentError as error:
        return Judged(Verdict.FAIL, str(error))
    return Judged(Verdict.OK, "comes as asked for")


def handed_out(token: str, reply: Reply) -> Judged:
    """A URL out of a document, asked without a ticket."""
    offered = ", ".join(schemes(reply))
    said = f"{reply.status} {who(reply)}" + (f", offers {offered}" if offered else "")
    if reply.status not in EXPECTED[token]:
        wanted = " or ".join(map(str, EXPECTED[token][:2]))
        return Judged(Verdict.FAIL, f"{said}, where {wanted} is right")
    html = (reply.header("content-type") or "").startswith("text/html")
    if reply.header(SERVER) is None:
        page = "an HTML page" if html else "an answer"
        return Judged(Verdict.WARN, f"{said}: {page} that may be somebody else's")
    return Judged(Verdict.OK, said)


def schemes(reply: Reply) -> list[str]:
    """The schemes that a 401 offers, in order, once each; challenges may share a line (protocol reference
    §3.3)."""
    found: dict[str, None] = {}
    for value in reply.all("www-authenticate"):
        parts = value.split(",") if "=" not in value else [value]
        for part in parts:
            if word := part.strip().partition(" ")[0]:
                found[word] = None
    if where := reply.header("x-ms-webticketurl"):
        found[f"web tickets at {host_of(where) or 'a URL that is none'}"] = None
    return list(found)


def urls(links: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """(token, URL) of what phones outside use, each URL once, without tokens whose answer we don't know."""
    found: dict[str, str] = {}
    for token, url in links:
        used = token.startswith(USED_OUTSIDE) and url.startswith("https://") and not unusable(url)
        if used and (url not in found or found[url].startswith("Internal/")):
            found[url] = token
    return [(token, url) for url, token in found.items()]


def hosts(links: Sequence[tuple[str, str]]) -> list[str]:
    """The hosts of these, each once, in order."""
    return list(dict.fromkeys(host_of(url) for _, url in urls(links)))


def broken(links: Sequence[tuple[str, str]]) -> list[tuple[str, str, str]]:
    """(token, URL, why) of what phones outside should use and can't."""
    return [
        (token, url.partition("?")[0], unusable(url) or "is not HTTPS")
        for token, url in links
        if token.startswith(USED_OUTSIDE) and (unusable(url) or not url.startswith("https://"))
    ]


def servers(fqdns: Sequence[str | None]) -> str:
    """Which front ends answered, and how often, for people."""
    counted = {fqdn: fqdns.count(fqdn) for fqdn in dict.fromkeys(fqdns)}
    return ", ".join(f"{fqdn or 'no front end'} {count}×" for fqdn, count in counted.items())
