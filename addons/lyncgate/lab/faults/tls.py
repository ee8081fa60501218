"""Faults of TLS: names in certificates, chains, versions (protocol reference §10, F03 … F06, F10, F11)."""

from __future__ import annotations

import ssl

from lyncgate.lab import topology
from lyncgate.lab.dns.zone import Record
from lyncgate.lab.faults.badproxy import Certificate, Proxy
from lyncgate.lab.faults.fault import Dns, Fault, always
from lyncgate.lab.faults.steps import discovering, instead, on
from lyncgate.lab.web import Response
from lyncgate.lync.names import is_lyncdiscover
from lyncgate.lync.stages import Stage

FABRIKAM = "lyncdiscover.fabrikam.example"
NO_FABRIKAM = Certificate(tuple(name for name in topology.public_names() if name != FABRIKAM))
NO_DISCOVER = Certificate(tuple(name for name in topology.public_names() if not is_lyncdiscover(name)))

FAULTS = (
    Fault(
        "F03",
        "the certificate lacks a SIP domain",
        f"the proxy's certificate does not have {FABRIKAM}",
        f"TLS for {FABRIKAM} ends after the server's certificate; no HTTP follows",
        "fails by HTTPS, and gets on by HTTP, because port 80 is open",
        None,
        always(Proxy(certificate=NO_FABRIKAM)),
        user="dave@fabrikam.example",
    ),
    Fault(
        "F04",
        "lyncdiscover is an alias into another domain",
        f"{FABRIKAM} is an alias of lyncweb.contoso.example; the certificate does not have it",
        "as F03, and DNS shows the alias",
        "as F03: an alias does not change which name the certificate must have",
        None,
        always(
            Dns(records=(Record(FABRIKAM, "CNAME", "lyncweb.contoso.example"),)),
            Proxy(certificate=NO_FABRIKAM),
        ),
        user="dave@fabrikam.example",
    ),
    Fault(
        "F05",
        "the proxy does not send its intermediate certificate",
        "the certificate is signed by an intermediate authority that is not sent along",
        "one certificate in the handshake, its issuer is not the root; the client ends it with an alert",
        "iOS says E_SslError (E2-2-2), can't verify the certificate; who has the intermediate gets on",
        Stage.CONNECT,
        always(Proxy(certificate=Certificate(topology.public_names(), complete=False))),
    ),
    Fault(
        "F06",
        "the proxy has no TLS 1.0",
        "the proxy accepts TLS 1.2 and newer",
        "ClientHello of TLS 1.0, and the connection ends; newer clients are fine",
        "old clients fail in the handshake; ours is newer",
        None,
        always(Proxy(oldest_tls=ssl.TLSVersion.TLSv1_2)),
    ),
    Fault(
        "F10",
        "http://lyncdiscover is redirected to another domain",
        "port 80 answers 301 to www.fabrikam.example; the certificate has no lyncdiscover name",
        "301 with a Location in another domain",
        "takes a redirect out of its domain for a failure; SIPE follows none at all",
        Stage.DISCOVER,
        always(
            Proxy(
                certificate=NO_DISCOVER,
                steps=(
                    on(
                        lambda c: discovering(c) and not c.secure,
                        instead(lambda _c: Response(301, [("Location", "https://www.fabrikam.example/")])),
                    ),
                ),
            )
        ),
    ),
    Fault(
        "F11",
        "port 80 is closed, and lyncdiscover not in the certificate",
        "the proxy does not listen on 80; its certificate has no lyncdiscover name",
        "connections to 80 are refused; TLS for lyncdiscover.<domain> ends after the certificate",
        "neither scheme leads anywhere",
        Stage.CONNECT,
        always(Proxy(certificate=NO_DISCOVER, http=False)),
    ),
)
