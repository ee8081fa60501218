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

import re
import urllib.parse

from lyncgate.lync import mcx, names, safejson, safexml, stages
from lyncgate.lync.names import AUTODISCOVER_ROOT
from lyncgate.lync.stages import Stage
from lyncgate.signin import documents, headers, plain, soap, tickets, ucwa
from lyncgate.signin.exchange import Kind
from lyncgate.signin.facts import Document, Facts
from lyncgate.signin.keys import Hasher, Keys
from lyncgate.signin.seen import Fields, decoded, media_type
from lyncgate.signin.seen import RequestSeen as RequestSeen  # explicit: others take them from here
from lyncgate.signin.seen import ResponseSeen as ResponseSeen
from lyncgate.signin.told import Told

AGENT_SHOWN = 128
_ROOT = AUTODISCOVER_ROOT.lower()
_BELOW_ROOT = _ROOT + "/"
_OAUTH_TOKEN = "/webticket/oauthtoken"  # noqa: S105 (a path)
_TITLE = re.compile(rb"<title[^>]{0,100}>([^<]{1,400})", re.IGNORECASE)
_HTML = ("text/html", "application/xhtml+xml")
# Bodies may be anything; these are what the standard library raises on the way.
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)


class Reading:
    """What an exchange says. `stage`: None when it belongs to none."""

    __slots__ = ("facts", "keys", "kind", "stage")

    def __init__(self, keys: Keys, facts: Facts, stage: str | None, kind: Kind) -> None:
        self.keys = keys
        self.facts = facts
        self.stage = stage
        self.kind = kind


def read(
    hasher: Hasher,
    request: RequestSeen,
    response: ResponseSeen | None = None,
    *,
    connection: str | None = None,
    client: str | None = None,
    classified: tuple[str | None, bool] | None = None,
) -> Reading:
    """Read an exchange. `connection`, `client`: for the keys, where they are known. `classified`: what
    `stages.classify` said of the request, from whoever decided what becomes of it; None: nobody did."""
    told, asked = Told(), Fields(request.headers, request.names)
    headers.read_request(request, asked, told)
    # A body that can't be read says nothing more; what was understood before stays. (Not `suppress`: it takes
    # longer than some bodies.)
    try:  # noqa: SIM105
        _read_request_body(request, asked, told)
    except _UNREADABLE:
        pass
    if response is not None:
        answered = Fields(response.headers, response.names)
        headers.read_response(request, response, answered, told)
        try:  # noqa: SIM105
            _read_response_body(request, response, answered, told)
        except _UNREADABLE:
            pass
    agent = asked.first.get(b"user-agent")
    if classified is None:
        of_discovery = names.is_lyncdiscover(request.host)
        classified = stages.classify(request.method, request.path, of_discovery, "forward")
    stage, poll = classified
    return Reading(
        told.to_keys(
            hasher,
            connection=connection,
            client=client,
            agent=agent[:AGENT_SHOWN].decode("latin-1") if agent else None,
        ),
        told.to_facts(),
        _stage(request, told, stage),
        Kind.POLL if poll or told.poll else Kind.REQUEST,
    )


def _stage(request: RequestSeen, told: Told, of_path: str | None) -> str | None:
    if told.over:
        return None
    if request.scheme == "http":
        target = told.facts.get("redirect")
        if target and target.lower().startswith("https:"):
            return Stage.REDIRECT
    return told.stage or of_path


# -- requests -----------------------------------------------------------------------------------------


def _read_request_body(request: RequestSeen, asked: Fields, told: Told) -> None:
    query = request.target.partition(b"?")[2]
    if query:
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
    elif body and body.lstrip().startswith((b"<", b"\xef\xbb\xbf")):
        soap.read_request(request.path, body, told)


def _read_grant(body: bytes, told: Told) -> None:
    """Who asks oauthtoken, and by what (protocol reference §3.5). Passwords stay where they are."""
    form = dict(urllib.parse.parse_qsl(body.decode("utf-8", "replace")))
    told.facts["operation"] = plain.plain(form.get("grant_type", ""), 64) or None
    told.account = told.account or form.get("username")


# -- answers ------------------------------------------------------------------------------------------


def _read_response_body(request: RequestSeen, response: ResponseSeen, answered: Fields, told: Told) -> None:
    if not response.body:
        return
    kind, body = media_type(answered), decoded(answered, response.body)
    if not body:
        return
    told.document = Document.OTHER
    if kind in _HTML:
        told.document = Document.HTML
        at = body.lower().find(b"<title")  # in a fraction of the time that the expression takes
        if at >= 0 and (title := _TITLE.search(body, at)):
            told.facts["title"] = plain.plain(title[1].decode("utf-8", "replace")) or None
    elif not response.complete:
        return
    elif request.path.startswith(ucwa.PREFIX):
        if (resource := ucwa.parse(kind, body)) is not None:
            ucwa.read_response(response.status, resource, told)
    elif request.path == _OAUTH_TOKEN:
        _read_token(safejson.parse(body), told)
    elif _is_autodiscover(request):
        _read_autodiscover(request, answered.first.get(b"content-type", b""), body, told)
    elif request.path.endswith("/mex") and documents.is_metadata(body):
        told.document = Document.MEX
    else:
        top = safexml.parse(body)
        if soap.is_envelope(top):
            soap.read_response(request.path, top, told)
        elif top.tag == documents.DEFINITIONS:
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
    path = request.path
    if path == "/":
        return names.is_lyncdiscover(request.host)
    return path.startswith(_BELOW_ROOT) or path == _ROOT


def _read_autodiscover(request: RequestSeen, content_type: bytes, body: bytes, told: Told) -> None:
    below = request.path.removeprefix(_ROOT) if request.path != "/" else ""
    told.document, access, told.links, redirect = documents.location(below, content_type, body)
    told.facts["access_location"] = access
    if told.document is Document.REDIRECT:
        told.facts["redirect"] = redirect
