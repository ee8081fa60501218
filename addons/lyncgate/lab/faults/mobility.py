"""Faults of the mobility services and of the way to them (protocol reference §10, F34 … F50)."""

from __future__ import annotations

import asyncio
import dataclasses
import re

from lyncgate.lab import topology
from lyncgate.lab.authority import Authority
from lyncgate.lab.call import Call, page
from lyncgate.lab.dns.estate import View
from lyncgate.lab.dns.zone import Record
from lyncgate.lab.faults.badproxy import HOLE, Passing, Proxy
from lyncgate.lab.faults.discovery import ROOT
from lyncgate.lab.faults.fault import Certificates, Dns, Effect, Fault, People, Pools, Services, always
from lyncgate.lab.faults.steps import MOBILITY, Serve, Step, afterwards, beforehand, error, instead, on, under
from lyncgate.lab.pool import Pool
from lyncgate.lab.scenario.policies import MobilityPolicy
from lyncgate.lab.scenario.scenario import Scenario
from lyncgate.lab.topology import AccessLocation
from lyncgate.lab.web import Response
from lyncgate.lync.stages import Stage

FRONT_ENDS = topology.POOLS["pool01"].members
AFFINITY_COOKIE = "MS-WSMAN"  # the name that the pool's rules for a load balancer ask for (§9.7)
_PGET = re.compile(r"/ucwa(?:/oauth)?/v1/applications/[^/]+/events")


def _next_member(call: Passing) -> Passing:
    """Every client connection goes to the next front end."""
    if call.member not in FRONT_ENDS:
        return call
    return dataclasses.replace(call, member=FRONT_ENDS[call.client.number % len(FRONT_ENDS)])


def _apart() -> Step[Call]:
    """Each front end knows the applications and sessions that were made on it, and no others."""
    own: dict[str, Pool] = {}

    async def step(call: Call, serve: Serve[Call]) -> Response:
        if call.fqdn not in own:
            own[call.fqdn] = call.pool.apart()
        return await serve(dataclasses.replace(call, pool=own[call.fqdn]))

    return step


def _gives_up(seconds: float) -> Step[Passing]:
    """Waits for the pool no longer than that."""

    async def step(call: Passing, serve: Serve[Passing]) -> Response:
        try:
            async with asyncio.timeout(seconds):
                return await serve(call)
        except TimeoutError:
            return page(504, "504 - Gateway Timeout")

    return step


def _asks_again(seconds: float) -> Step[Passing]:
    """Sends a GET once more, on another connection, when no answer came; hands on what comes first."""

    async def step(call: Passing, serve: Serve[Passing]) -> Response:
        first = asyncio.ensure_future(serve(call))
        both = {first}
        try:
            if not (await asyncio.wait(both, timeout=seconds))[0]:
                both.add(asyncio.ensure_future(serve(dataclasses.replace(call, kept=False))))
            done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for one in both:
                one.cancel()

    return step


def _by_cookie(name: str, attributes: str, *, every_response: bool) -> Step[Passing]:
    """Affinity by a cookie of the proxy's; who doesn't send it gets the next front end."""

    async def step(call: Passing, serve: Serve[Passing]) -> Response:
        sent = re.search(rf"\b{name}=(\w+)", call.request.header("cookie") or "")
        known = sent is not None and sent[1] in FRONT_ENDS
        call = dataclasses.replace(call, member=sent[1]) if sent and known else _next_member(call)
        response = await serve(call)
        if not known and (every_response or call.client.requests == 0):
            response.headers.append(("Set-Cookie", f"{name}={call.member}{attributes}"))
        return response

    return step


def _mobility_off(scenario: Scenario) -> Scenario:
    """The global mobility policy says no, and nobody has another."""
    mobility = {"global": MobilityPolicy.model_validate({"EnableMobility": False})}
    return dataclasses.replace(scenario, policies=scenario.policies.model_copy(update={"mobility": mobility}))


def _stuck(pool: Pool) -> None:
    pool.ucwa_pool.stuck.add(topology.MEMBERS["fe01"].fqdn)


def _at_most(pending: float) -> tuple[Effect, ...]:
    def limit(pool: Pool) -> None:
        pool.ucwa_pool.limit = int(pending)

    return (Pools(limit),)


def _not_for_clients(authority: Authority) -> dict[str, tuple[bytes, bytes]]:
    return {name: authority.issue(topology.pool_names(pool)) for name, pool in topology.POOLS.items()}


def _not_ours(_authority: Authority) -> dict[str, tuple[bytes, bytes]]:
    return {"push": Authority().issue((topology.PUSH_HOST,), mutual=True)}


def _internal_mcx(call: Call, response: Response) -> Response:
    if isinstance(response.body, bytes):
        spec = call.pool.spec
        outside, inside = (f"https://{name}/Mcx/".encode() for name in (spec.web, spec.fqdn))
        response.body = response.body.replace(outside, inside)
    return response


FAULTS = (
    Fault(
        "F34",
        "UCWA is stuck on one front end",
        "the application pool of UCWA does not answer on fe01",
        "503 in HTML for /ucwa on fe01, while the others answer 401",
        "E_UcwaUnavailable (E2-3-48), for those who get there",
        Stage.REGISTER,
        always(Pools(_stuck)),
    ),
    Fault(
        "F35",
        "UCWA fails after its application pool was recycled",
        "every request to UCWA ends in an error of ASP.NET",
        "500 in HTML for /ucwa",
        "has a ticket, and no application",
        Stage.REGISTER,
        always(Services(on(under("/ucwa"), instead(error(500, "Runtime Error"))))),
    ),
    Fault(
        "F36",
        "too many requests are pending",
        "UCWA takes so many requests at once; a real one takes 10,000, MCX 5,000",
        "503 in HTML for what comes on top, held polls count",
        "signs in or not, as it comes",
        None,
        _at_most,
        amount=20,
        unit="requests",
    ),
    Fault(
        "F37",
        "the proxy gives up on polls",
        "the proxy waits for an answer for so long; a poll hangs for 180 s to 1800 s",
        "504 in HTML after always the same time, for requests that are meant to hang",
        "signs in, and is disconnected again and again",
        None,
        lambda seconds: (Proxy(steps=(_gives_up(seconds),)),),
        amount=30,
        unit="s",
    ),
    Fault(
        "F38",
        "the proxy repeats polls",
        "the proxy asks once more, on another connection, when an answer takes so long",
        "409 PGetReplaced with one device only",
        "its poll ends before anything happened, each time",
        None,
        lambda seconds: (
            Proxy(steps=(on(lambda c: _PGET.match(c.path) is not None, _asks_again(seconds)),)),
        ),
        amount=5,
        unit="s",
    ),
    Fault(
        "F39",
        "requests of one application reach several front ends, which don't know it",
        "the proxy sends each client connection to the next front end; front ends share no applications",
        "404 ApplicationNotFound right after 201; X-MS-Server-Fqdn alternates",
        "signs in, loses its application with the poll, begins anew",
        Stage.NOTIFICATIONS,
        lambda _amount: (Services(on(under(*MOBILITY), _apart())), Proxy(steps=(beforehand(_next_member),))),
    ),
    Fault(
        "F40",
        "mobility is off",
        "the global mobility policy has EnableMobility False",
        "403 for POST applications; a fault of MCX for InitiateSession",
        "is told that the user may not",
        Stage.MOBILITY_POLICY,
        always(People(_mobility_off)),
    ),
    Fault(
        "F41",
        "the mobility service can't register at its front end",
        "certificates of the pool's servers are not good for the client's side of mutual TLS",
        "the service is reached, and fails; no REGISTER on 5086 or 5087",
        "has a ticket, and no session",
        Stage.REGISTER,
        always(Certificates(_not_for_clients)),
    ),
    Fault(
        "F42",
        "the proxies of a farm have no affinity, and a 2010 pool needs it",
        "as F39, for MCX: a session lives on the front end that made it",
        "X-MS-Server-Fqdn alternates; SessionNotFound right after InitiateSession",
        "Lync 2010 loses its session (in the field iPhone and Windows Phone did, Android not; here all do)",
        Stage.NOTIFICATIONS,
        lambda _amount: (Services(on(under(*MOBILITY), _apart())), Proxy(steps=(beforehand(_next_member),))),
        device="wp75",
    ),
    Fault(
        "F43",
        "affinity by a cookie that the phone doesn't send back",
        "the proxy keeps clients at a front end by its cookie; front ends keep applications to themselves",
        "X-MS-Server-Fqdn alternates for clients without the cookie, stays for those with it",
        "iOS fails, Android and Windows are fine; with one front end all is well",
        Stage.NOTIFICATIONS,
        lambda _amount: (
            Services(on(under(*MOBILITY), _apart())),
            Proxy(steps=(_by_cookie(AFFINITY_COOKIE, "; path=/; secure", every_response=True),)),
        ),
    ),
    Fault(
        "F44",
        "the affinity cookie is a wrong one",
        "the proxy's cookie has another name, HttpOnly and an expiry, and comes once a connection",
        "Set-Cookie: LB=…; HttpOnly; Expires=…, on the first response only",
        "as F43, even with clients that keep cookies",
        Stage.NOTIFICATIONS,
        lambda _amount: (
            Services(on(under(*MOBILITY), _apart())),
            Proxy(
                steps=(
                    _by_cookie(
                        "LB",
                        "; path=/; HttpOnly; Expires=Thu, 01 Jan 2099 00:00:00 GMT",
                        every_response=False,
                    ),
                )
            ),
        ),
    ),
    Fault(
        "F45",
        "the external names can't be reached from inside",
        "the internal DNS view has the web services name, at an address behind a firewall that drops",
        "inside, connections to the web services name get no answer; outside all is well",
        "works on the mobile network, not on the company's Wi-Fi",
        None,
        always(
            Dns(
                records=tuple(Record(pool.web, "A", HOLE) for pool in topology.POOLS.values()),
                view=View.INTERNAL,
            ),
            Proxy(HOLE, silent=True),
        ),
    ),
    Fault(
        "F46",
        "the user document has the internal address of MCX",
        "as with ExposedWebURL Internal",
        "External/Mcx with the pool's internal name; outside, NXDOMAIN for it",
        "Lync 2010 looks up the internal name; Lync 2013 doesn't care",
        Stage.DNS_WEB,
        always(Services(on(under(f"{ROOT}/user", f"{ROOT}/oauth/user"), afterwards(_internal_mcx)))),
        device="android2010",
    ),
    Fault(
        "F47",
        "MCX is sought on a Director",
        "the proxy sends /Mcx to the Director, which has none",
        "404 for /Mcx, with the Director's X-MS-Server-Fqdn",
        "Lync 2010 gets no session",
        Stage.REGISTER,
        always(
            Proxy(steps=(on(under("/mcx"), beforehand(lambda c: dataclasses.replace(c, member="dir01"))),))
        ),
        device="android2010",
    ),
    Fault(
        "F48",
        "certificate provisioning is not published",
        "the proxy has no rule for /CertProv",
        "404 of the proxy for /CertProv; no X-MS-Server-Fqdn on it",
        "clients that want a certificate fail: Lync 2010 on Windows Phone, desktops; others don't notice",
        Stage.CERTIFICATE,
        always(Proxy(steps=(on(under("/certprov"), instead(error(404, "Not published"))),))),
        device="wp75",
    ),
    Fault(
        "F49",
        "no push notifications",
        "federation fails: no SRV record, and the Access Edge does not trust the push service's certificate",
        "no _sipfederationtls._tcp record; 504 for MESSAGE to the push service",
        "signs in, and hears of nothing while it is in the background",
        None,
        always(Dns(gone=("_sipfederationtls._tcp.*",)), Certificates(_not_ours)),
        device="wp75",
    ),
    Fault(
        "F50",
        "the Office Web Apps server is bridged as a front end is",
        "the proxy sends its 443 to 4443",
        "502 of the proxy for the Office Web Apps name; the server is fine inside",
        "signs in; PowerPoint in meetings fails",
        None,
        always(
            Proxy(
                steps=(
                    on(
                        lambda c: c.host == topology.OWA_HOST,
                        beforehand(lambda c: dataclasses.replace(c, location=AccessLocation.EXTERNAL)),
                    ),
                )
            )
        ),
    ),
)
