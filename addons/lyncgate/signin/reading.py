"""Reads an exchange: what its headers and bodies say of whose it is, of which step of a sign-in, and how it
went. Total: whatever the bytes, there is a reading, and no secret is in it.

    reading = read(hasher, RequestSeen(…), ResponseSeen(…))
    reading.keys.tickets      # keyed hashes: of the ticket shown, and of the one handed out
    reading.facts.error       # `ApplicationNotFound`

Without a response the reading is that of a request under way. The stage is that of the path
(`lync.stages`), made more precise by what the bodies say:

- MCX: by the operation, for all of them share one path. InitiateSession is `register`, and its answer's
  settings tell of the mobility policy as well; GetProvisioning is `provisioning`; polls and SubscribePush
  are `notifications`; contacts, cards, photos and presence are `ready`; TerminateSession is none.
- A refusal that says that the mobility policy forbids it is `mobility_policy` (MCX, UCWA).
- UCWA's callForwardingSettings are `provisioning` when they came; 403 means only that the user has no
  Enterprise Voice.
- Over HTTP a redirect to HTTPS, by status or by a document that says `Redirect`, is `redirect`.
"""

from __future__ import annotations

import dataclasses
import json
import re
import urllib.parse
import xml.etree.ElementTree as ET  # elements only; what comes from outside passes safexml
from collections.abc import Callable

from lyncgate.lync import autodiscover, mcx, mex, names, safexml, stages
from lyncgate.lync.names import AUTODISCOVER_ROOT
from lyncgate.lync.stages import Stage
from lyncgate.signin import headers, plain, soap, tickets, ucwa
from lyncgate.signin.exchange import Kind
from lyncgate.signin.facts import Document, Facts
from lyncgate.signin.keys import Hasher, Keys
from lyncgate.signin.seen import Fields, decoded, fields_of, first, media_type
from lyncgate.signin.seen import RequestSeen as RequestSeen  # explicit: others take them from here
from lyncgate.signin.seen import ResponseSeen as ResponseSeen
from lyncgate.signin.told import Told

AGENT_SHOWN = 128
_ROOT = AUTODISCOVER_ROOT.lower()
_OAUTH_TOKEN = "/webticket/oauthtoken"  # noqa: S105 (a path)
_TITLE = re.compile(rb"<title[^>]{0,100}>([^<]{1,400})", re.IGNORECASE)
_HTML = ("text/html", "application/xhtml+xml")
# Bodies may be anything; these are what the standard library raises on the way.
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """What an exchange says. `stage`: None when it belongs to none."""

    keys: Keys
    facts: Facts
    stage: Stage | None
    kind: Kind


def read(
    hasher: Hasher,
    request: RequestSeen,
    response: ResponseSeen | None = None,
    *,
    connection: str | None = None,
    client: str | None = None,
    decision: str | None = None,
) -> Reading:
    """Read an exchange. `connection`, `client`: for the keys, where they are known; `decision`: the edge's,
    None where nobody decided."""
    told, asked = Told(), fields_of(request.headers)
    headers.read_request(request, asked, told)
    _guarded(_read_request_body, request, asked, told)
    if response is not None:
        answered = fields_of(response.headers)
        headers.read_response(request, response, answered, told)
        _guarded(_read_response_body, request, response, answered, told)
    agent = first(asked, b"user-agent")
    stage, poll = stages.classify(
        request.method, request.path, names.is_lyncdiscover(request.host), decision or "forward"
    )
    return Reading(
        told.to_keys(
            hasher,
            connection=connection,
            client=client,
            agent=(agent or b"").decode("latin-1")[:AGENT_SHOWN] or None,
        ),
        told.to_facts(),
        _stage(request, told, stage),
        Kind.POLL if poll or told.poll else Kind.REQUEST,
    )


def _guarded[**P](reader: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    """A body that can't be read says nothing more; what was understood before stays."""
    try:  # noqa: SIM105 (what contextlib has for it takes longer than some bodies)
        reader(*args, **kwargs)
    except _UNREADABLE:
        pass


def _stage(request: RequestSeen, told: Told, of_path: Stage | None) -> Stage | None:
    if told.over:
        return None
    target = told.facts.get("redirect") or ""
    if request.scheme == "http" and target.lower().startswith("https:"):
        return Stage.REDIRECT
    return told.stage or of_path


# -- requests -----------------------------------------------------------------------------------------


def _read_request_body(request: RequestSeen, asked: Fields, told: Told) -> None:
    query = request.target.partition(b"?")[2]
    told.user = names.sip_user_from_query(query) or told.user
    body = decoded(asked, request.body) if request.complete else b""
    if request.path.startswith(ucwa.PREFIX):
        kind = media_type(asked)
        ucwa.read_request(request.path, ucwa.parse(kind, body) if body else None, told)
    elif request.path == _OAUTH_TOKEN:
        _read_grant(body, told)
    elif request.path.startswith(soap.MCX_PATH) and query and request.method == "GET":
        poll = mcx.decode_poll_query(query.decode("latin-1"))
        told.application, told.poll, told.stage = soap.session_id(poll.session), True, Stage.NOTIFICATIONS
    elif body.lstrip().startswith((b"<", b"\xef\xbb\xbf")):
        top = safexml.parse(body)
        if soap.is_envelope(top):
            soap.read_request(request.path, top, body, told)


def _read_grant(body: bytes, told: Told) -> None:
    """Who asks oauthtoken, and by what (protocol reference §3.5). Passwords stay where they are."""
    form = dict(urllib.parse.parse_qsl(body.decode("utf-8", "replace")))
    told.facts["operation"] = plain.plain(form.get("grant_type", ""), 64) or None
    told.account = told.account or form.get("username")


# -- answers ------------------------------------------------------------------------------------------


def _read_response_body(request: RequestSeen, response: ResponseSeen, answered: Fields, told: Told) -> None:
    kind, body = media_type(answered), decoded(answered, response.body)
    if not body:
        return
    told.document = Document.OTHER
    if kind in _HTML:
        told.document = Document.HTML
        if title := _TITLE.search(body):
            told.facts["title"] = plain.plain(title[1].decode("utf-8", "replace")) or None
    elif not response.complete:
        return
    elif request.path.startswith(ucwa.PREFIX):
        if (resource := ucwa.parse(kind, body)) is not None:
            ucwa.read_response(request.path, response.status, resource, told)
    elif request.path == _OAUTH_TOKEN:
        _read_token(json.loads(body.decode("utf-8-sig")), told)
    elif _is_autodiscover(request):
        _read_autodiscover(request, first(answered, b"content-type") or b"", body, told)
    else:
        _read_xml(request, safexml.parse(body), body, told)


def _read_xml(request: RequestSeen, top: ET.Element, body: bytes, told: Told) -> None:
    if soap.is_envelope(top):
        soap.read_response(request.path, top, body, told)
    elif top.tag == f"{{{mex.WSDL}}}definitions":
        told.document = Document.MEX


def _read_token(answer: object, told: Told) -> None:
    """A token, or why there is none (protocol reference §3.5)."""
    if not isinstance(answer, dict):
        return
    if isinstance(token := answer.get("access_token"), str):
        told.document = Document.TICKET
        told.tickets.append(tickets.of_text(token)[1])
    elif isinstance(error := answer.get("error"), str):
        told.document, told.facts["error"] = Document.FAULT, plain.plain(error, 64) or None
        told.facts["error_text"] = plain.plain(str(answer.get("error_description") or "")) or None
        where = answer.get("ms_rtc_passiveauthuri")
        if isinstance(where, str) and (shown := plain.url(where)):
            told.authentication_urls.append(shown)


def _is_autodiscover(request: RequestSeen) -> bool:
    on_root = request.path == "/" and names.is_lyncdiscover(request.host)
    return on_root or f"{request.path}/".startswith(_ROOT + "/")


def _read_autodiscover(request: RequestSeen, content_type: bytes, body: bytes, told: Told) -> None:
    below = request.path.removeprefix(_ROOT) if request.path != "/" else ""
    parse, document = _AUTODISCOVER.get(below, (autodiscover.parse_root, Document.ROOT))
    located = parse(content_type.decode("latin-1"), body)
    told.facts["access_location"] = _ACCESS.get((located.access_location or "").lower())
    told.links += located.links
    redirect = located.href("Redirect")
    told.document = document if redirect is None else Document.REDIRECT
    if redirect is not None:
        told.facts["redirect"] = plain.url(redirect)


_ACCESS = {"internal": "Internal", "external": "External"}
_AUTODISCOVER = {
    "/user": (autodiscover.parse_user, Document.USER),
    "/oauth/user": (autodiscover.parse_user, Document.USER),
    "/domain": (autodiscover.parse_domain, Document.DOMAIN),
}
