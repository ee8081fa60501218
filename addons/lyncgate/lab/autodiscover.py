"""The Autodiscover service of a front end (protocol reference §2). The documents are lync.autodiscover's.

- root: on plain HTTP the single Redirect token, on HTTPS the pool's links, with the query echoed;
- user and oauth/user: 401 without a ticket, then the document; only a Redirect for a user of another
  pool; 404 with an empty body for a user that is homed nowhere;
- domain: the pool's own services, to anyone.
"""

from __future__ import annotations

from lyncgate.lab.call import Call, ticket_holder
from lyncgate.lab.topology import SIP_HOST, AccessLocation
from lyncgate.lab.web import Response
from lyncgate.lync import autodiscover as documents
from lyncgate.lync.autodiscover import Document, Links, SipAccess
from lyncgate.lync.names import AUTODISCOVER_ROOT

ROOT = AUTODISCOVER_ROOT.lower()
SIP_PORT = 5061


async def root(call: Call) -> Response:
    """The root document, without authentication."""
    links = _service_links(call)
    if not call.secure:
        links = documents.redirect_links(dict(links)["Self"])
    return _answer(documents.root_document(links, _accept(call), call.location))


async def domain(call: Call) -> Response:
    """The domain document, without authentication."""
    links = documents.domain_links(call.pool.spec.web, call.pool.spec.fqdn)
    return _answer(documents.domain_document(links, _accept(call), call.location))


async def user(call: Call) -> Response:
    """The user document for the holder of a web ticket."""
    return _user(call, oauth=False)


async def oauth_user(call: Call) -> Response:
    """The user document for OAuth clients: the same, with another 401."""
    return _user(call, oauth=True)


def _user(call: Call, *, oauth: bool) -> Response:
    sip = ticket_holder(call, oauth=oauth)
    if isinstance(sip, Response):
        return sip
    person = call.pool.directory.by_sip(sip)
    if person is None:
        return Response(404)
    links, access = _user_links(call, person.home)
    return _answer(documents.user_document(links, access, _accept(call), call.location))


def _user_links(call: Call, home: str) -> tuple[Links, SipAccess | None]:
    pool = call.pools[home]
    if pool is not call.pool:
        return documents.redirect_links(pool.web_url(call.location, AUTODISCOVER_ROOT)), None
    access = SipAccess((pool.spec.fqdn, SIP_PORT), (SIP_HOST, SIP_PORT))
    return documents.user_links(pool.spec.web, pool.spec.fqdn), access


def _service_links(call: Call) -> Links:
    spec = call.pool.spec
    name = spec.web if call.location is AccessLocation.EXTERNAL else spec.fqdn
    query = call.request.query.encode("latin-1") if "?" in call.request.target else None
    return documents.service_links(name, query)


def _accept(call: Call) -> bytes | None:
    accept = call.request.header("accept")
    return None if accept is None else accept.encode("latin-1")


def _answer(document: Document) -> Response:
    return Response(200, [("Content-Type", document.content_type)], document.body)
