"""The hand-built policy that the decision tests are about: every feature once."""

from __future__ import annotations

import ipaddress

from lyncgate.policy.policy import (
    MIB,
    Bridge,
    Discover,
    Listener,
    Member,
    Policy,
    Pool,
    Publication,
    Scheme,
    SipDomain,
    UserRoute,
)


def _pool(name: str, bridge: Bridge) -> Pool:
    return Pool(name, (Member("fe01", f"fe01.{name}.contoso.local"),), bridge)


def _listener(name: str, scheme: Scheme, status: int | None = None) -> Listener:
    redirect = status is not None
    return Listener(name, scheme, (("127.0.0.1", 0),), redirect, status or 307)


POLICY = Policy(
    version="0123456789ab",
    domains={
        "contoso.example": SipDomain("contoso.example", "lyncweb.contoso.example", "pool01"),
        "fabrikam.example": SipDomain(
            "fabrikam.example", "lyncweb.fabrikam.example", "pool02", Discover.FORWARD, Discover.REDIRECT
        ),
        "lab.contoso.example": SipDomain(
            "lab.contoso.example", "lyncweb.lab.contoso.example", "pool02", Discover.REDIRECT, Discover.ANSWER
        ),
    },
    users=(
        UserRoute("ceo@contoso.example", "lyncweb-vip.contoso.example", "pool03"),
        UserRoute("*@emea.contoso.example", "lyncweb-emea.contoso.example", "pool02"),
    ),
    listeners={
        "http": _listener("http", Scheme.HTTP, 307),
        "moved": _listener("moved", Scheme.HTTP, 301),
        "plain": _listener("plain", Scheme.HTTP),
        "https": _listener("https", Scheme.HTTPS),
    },
    pools={
        "pool01": _pool("pool01", Bridge()),
        "pool02": _pool("pool02", Bridge(http=None, https=4444)),
        "pool03": _pool("pool03", Bridge(http=8081, https=None)),
    },
    publications=(
        Publication(
            "scheduler",
            ("lyncweb.contoso.example",),
            "pool02",
            ("/scheduler",),
            methods=frozenset({"GET", "POST"}),
            sources=(ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("2001:db8::/32")),
        ),
        Publication(
            "web services",
            ("lyncweb.contoso.example",),
            "pool01",
            excluded=("/cscp", "/ocspowershell"),
        ),
        Publication(
            "emea",
            ("lyncweb-emea.contoso.example",),
            "pool02",
            ("/ucwa", "/webticket", "/autodiscover/autodiscoverservice.svc"),
            body_limit=1 * MIB,
        ),
        Publication("simple urls", ("meet.contoso.example", "dialin.contoso.example"), "pool01"),
        Publication("office", ("owa.contoso.example",), "pool01", bridge=Bridge(80, 443)),
        Publication("vip", ("lyncweb-vip.contoso.example",), "pool03"),
        Publication("any fabrikam", ("*.fabrikam.example",), "pool02", excluded=("/cscp",)),
        Publication("shadowed", ("meet.contoso.example",), "pool02"),
    ),
)
