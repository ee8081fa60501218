"""Faults of discovery: DNS, and what a proxy does to the first requests (protocol reference §10, F01 … F19).

Those of TLS are in `tls`.
"""

from __future__ import annotations

import dataclasses

from lyncgate.lab import topology
from lyncgate.lab.call import Call, page
from lyncgate.lab.dns.zone import Record
from lyncgate.lab.faults.badproxy import CLOUD, DOOR, HOLE, Certificate, Passing, Proxy
from lyncgate.lab.faults.fault import Dns, Fault, Services, always
from lyncgate.lab.faults.steps import (
    Asked,
    Serve,
    afterwards,
    beforehand,
    discovering,
    error,
    instead,
    on,
    under,
)
from lyncgate.lab.topology import AccessLocation
from lyncgate.lab.web import Response
from lyncgate.lync import autodiscover
from lyncgate.lync.names import AUTODISCOVER_ROOT, lyncdiscover_host, lyncdiscoverinternal_host
from lyncgate.lync.stages import Stage

ROOT = AUTODISCOVER_ROOT.lower()
EMEA = topology.POOLS["pool02"].web
CLOUD_NAME = "*.online.lync.com"  # what Office 365 shows; the names in its answers are not played
LOGON = "/CookieAuth.dll"  # where TMG's forms authentication has its page


def root_document(call: Asked) -> bool:
    """Requests for a root document, by either of its names."""
    return call.path == ROOT or (call.path == "/" and discovering(call))


def _hosted_elsewhere(call: Asked) -> bool:
    return root_document(call) and call.host == lyncdiscover_host("fabrikam.example")


def _redirect_to(call: Asked, href: str) -> Response:
    accept = call.request.header("accept")
    links = autodiscover.redirect_links(href)
    document = autodiscover.root_document(links, accept.encode("latin-1") if accept else None)
    return Response(200, [("Content-Type", document.content_type)], document.body)


async def _forms(call: Passing, serve: Serve[Passing]) -> Response:
    if call.request.header("cookie"):
        return await serve(call)
    if call.path == LOGON.lower():
        return page(200, "Log on")
    where = f"https://{call.host}{LOGON}?GetLogon?curl=Z2F{call.path.replace('/', 'Z2F')}"
    return Response(302, [("Location", where)])


def _altered(_call: Asked, response: Response) -> Response:
    headers = [field for field in response.headers if field[0].lower() != "content-type"]
    return dataclasses.replace(response, headers=[*headers, ("Content-Type", "text/xml")], until_close=True)


def _forgotten(_call: Call, response: Response) -> Response:
    return Response(404) if response.status == 200 else response


FAULTS = (
    Fault(
        "F01",
        "lyncdiscover does not exist",
        "no lyncdiscover name in the external DNS view",
        "NXDOMAIN for lyncdiscover.<domain>; no traffic at all",
        "Cannot connect to the server. It might be unavailable.",
        Stage.DNS_DISCOVER,
        always(Dns(gone=("lyncdiscover.*",))),
    ),
    Fault(
        "F02",
        "lyncdiscoverinternal resolves outside",
        "the external DNS view has lyncdiscoverinternal, at an address where nobody answers",
        "an address for lyncdiscoverinternal.<domain>; connections to it get no answer",
        "signs in, after as long as it takes to give the internal name up",
        None,
        always(
            Dns(records=tuple(Record(lyncdiscoverinternal_host(d), "A", HOLE) for d in topology.DOMAINS)),
            Proxy(HOLE, silent=True),
        ),
    ),
    Fault(
        "F07",
        "the proxy bridges to the internal web site",
        "the proxy sends 443 to 443 and 80 to 80 of the pool, not to 4443 and 8080",
        'root with AccessLocation="Internal" and links with the pool\'s internal name',
        "looks up the internal name, which does not exist outside",
        Stage.DNS_WEB,
        always(
            Proxy(steps=(beforehand(lambda c: dataclasses.replace(c, location=AccessLocation.INTERNAL)),))
        ),
    ),
    Fault(
        "F08",
        "the proxy rewrites Host",
        "the proxy sends the front end's own name as Host",
        "404 for meet, dialin and the / of lyncdiscover, while the web services name works",
        "lyncdiscover is not found; who has the URL by hand gets on",
        Stage.DISCOVER,
        always(
            Proxy(
                steps=(
                    beforehand(
                        lambda c: dataclasses.replace(c, send_host=topology.MEMBERS[c.member or "fe01"].fqdn)
                    ),
                )
            )
        ),
    ),
    Fault(
        "F09",
        "the proxy wants a log-on of its own",
        "pre-authentication by a form, as TMG has it",
        "302 to /CookieAuth.dll, and there 200 with an HTML page, in place of every document",
        "gets HTML where it wants a document",
        Stage.DISCOVER,
        always(Proxy(steps=(_forms,))),
    ),
    Fault(
        "F12",
        "the proxy spoils the root document",
        "Content-Type becomes text/xml, Content-Length is lost: the body ends with the connection",
        "200 with another Content-Type and no length",
        "takes it for no discovery document and goes on to the next name",
        Stage.DISCOVER,
        always(Proxy(steps=(on(root_document, afterwards(_altered)),))),
    ),
    Fault(
        "F13",
        "the proxy does not publish / of lyncdiscover",
        "the proxy's rule has paths, and / is not among them",
        "404 of the proxy for / on lyncdiscover",
        "counts as no lyncdiscover at all",
        Stage.DISCOVER,
        always(
            Proxy(steps=(on(lambda c: discovering(c) and c.path == "/", instead(error(404, "Not found"))),))
        ),
    ),
    Fault(
        "F14",
        "lyncdiscover leads to Office 365",
        "the external DNS view has lyncdiscover at the address of somebody else's server",
        f"403, and a certificate for {CLOUD_NAME}",
        "the name does not match by HTTPS, and HTTP says 403",
        Stage.DISCOVER,
        always(
            Dns(records=tuple(Record(lyncdiscover_host(d), "A", CLOUD) for d in topology.DOMAINS)),
            Proxy(
                CLOUD,
                Certificate((CLOUD_NAME,)),
                steps=(instead(error(403, "Forbidden: Access is denied.")),),
            ),
        ),
    ),
    Fault(
        "F15",
        "the home pool is not published",
        f"the proxy has no rule for {EMEA}, and its certificate not that name",
        f"a Redirect to {EMEA}; a TLS handshake that ends with the certificate, or 404",
        "users of that pool fail, others don't notice",
        Stage.CONNECT,
        always(
            Proxy(
                certificate=Certificate(tuple(n for n in topology.public_names() if n != EMEA)),
                steps=(on(lambda c: c.host == EMEA, instead(error(404, "Not published"))),),
            )
        ),
        user="erin@contoso.example",
    ),
    Fault(
        "F16",
        "the hosting provider's autodiscover URL has a typo",
        "users of fabrikam.example are redirected to …/autodisccoverservice.svc/root",
        "root with a Redirect whose href is misspelt; 404 there",
        "follows it into the 404",
        Stage.LOCATE,
        always(
            Services(
                on(
                    _hosted_elsewhere,
                    instead(
                        lambda c: _redirect_to(
                            c, f"https://{EMEA}/Autodiscover/AutodisccoverService.svc/root"
                        )
                    ),
                )
            )
        ),
        user="dave@fabrikam.example",
    ),
    Fault(
        "F17",
        "the user's home is unknown here",
        "the user resource knows nobody",
        "404 with an empty body for a user resource, with a good ticket",
        "has a ticket, and no pool to go to",
        Stage.LOCATE,
        always(Services(on(under(f"{ROOT}/user", f"{ROOT}/oauth/user"), afterwards(_forgotten)))),
    ),
    Fault(
        "F18",
        "the chain of redirects is a circle",
        "the proxy answers every root with a Redirect to lyncdiscover",
        "root after root, each with a Redirect to where the client comes from; no user resource",
        "spins, gives up after ten, and is back at the log-on page (SIPE does not give up)",
        Stage.DISCOVER,
        always(
            Proxy(
                steps=(
                    on(
                        root_document,
                        instead(lambda c: _redirect_to(c, f"https://lyncdiscover.contoso.example{ROOT}")),
                    ),
                )
            )
        ),
    ),
    Fault(
        "F19",
        "the SIP names lead to the reverse proxy",
        "sip and sipexternal have the proxy's address; there are no SRV records",
        "REGISTER in TLS on 443 of the proxy, which is no HTTP",
        "mobile clients never ask SIP; SIPE fails when it has no other way",
        None,
        always(
            Dns(
                gone=("_sip*",),
                records=tuple(
                    Record(f"{label}.{domain}", "A", DOOR)
                    for label in ("sip", "sipexternal")
                    for domain in topology.DOMAINS
                ),
            ),
            Proxy(),
        ),
    ),
)
