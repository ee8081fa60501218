"""The mobility services refuse, fail, or are not there: F34 … F36, F40, F41, F47, F48."""

from __future__ import annotations

from collections.abc import Iterable

from lyncgate.lync.stages import Stage
from lyncgate.signin.catalogue.entry import Entry, Sighting, certain, likely, possible
from lyncgate.signin.catalogue.look import absent, fqdn_of, from_pool, is_html, is_poll, saw
from lyncgate.signin.catalogue.scene import Scene
from lyncgate.signin.events import SipMessage, TraceLine
from lyncgate.signin.exchange import Exchange
from lyncgate.signin.facts import Document
from lyncgate.signin.finding import Fix, Grade

_UCWA, _MCX, _CERTIFICATES = "/ucwa", "/mcx", "/certprov"
_NO_MOBILITY = ("MobilityDisabled", "MobileApplicationNoLongerAllowed")
_RECYCLED = "CollaborationPlatform"  # of event 1309: an instance of it can't be used any more
_PORTS = ("5086", "5087", "5088", "5089")  # mobility services register with these in their Contact


def _answers(scene: Scene, prefix: str) -> list[Exchange]:
    """Answers below `prefix`, of this sign-in and of those around it."""
    others = (e for other in scene.around for e in other.events if isinstance(e, Exchange))
    return [x for x in (*scene.exchanges, *others) if (x.path + "/").startswith(f"{prefix}/")]


def _busy(scene: Scene) -> list[Exchange]:
    """503 of the pool's in HTML, from the mobility services."""
    return [x for x in scene.under(_UCWA, _MCX) if x.status == 503 and is_html(x) and from_pool(x)]


def _by_server(answers: Iterable[Exchange]) -> dict[str, set[bool]]:
    """Server → whether it answered well, or 503."""
    seen: dict[str, set[bool]] = {}
    for x in answers:
        server = fqdn_of(x)
        if server and x.status is not None:
            seen.setdefault(server, set()).add(x.status != 503)
    return seen


def _stuck(scene: Scene) -> Sighting | None:
    for x in _busy(scene):
        server = fqdn_of(x) or ""
        seen = _by_server(_answers(scene, "/" + x.path.split("/")[1]))
        if True in seen.get(server, set()):
            continue  # it answers others: it is busy, not stuck
        well = sorted(other for other, how in seen.items() if other != server and how == {True})
        if well:
            return certain(saw(x), absent(f"{', '.join(well[:3])} answered well"), server=server)
        everywhere = len(seen) > 1
        return possible(saw(x), server=server) if everywhere else likely(saw(x), server=server)
    return None


def _overloaded(scene: Scene) -> Sighting | None:
    for x in _busy(scene):
        server = fqdn_of(x) or ""
        answers = _answers(scene, "/" + x.path.split("/")[1])
        seen = _by_server(answers)
        if True not in seen.get(server, set()):
            return possible(saw(x), rank=1)
        polls = sum(is_poll(e) for e in answers if fqdn_of(e) == server or e.status is None)
        return likely(
            saw(x), absent(f"{server} answered other requests well; {polls} polls were up around it")
        )
    return None


def _failing(scene: Scene) -> Sighting | None:
    lines = [line for line in scene.lines if _RECYCLED in line.text]
    for x in scene.under(_UCWA):
        if x.status == 500 and is_html(x) and not x.facts.diagnostics and not scene.ok:
            return (
                certain(saw(x), saw(lines[0])) if lines else likely(saw(x, "a page, not an error of UCWA's"))
            )
    return None


def _not_allowed(scene: Scene) -> Sighting | None:
    off = [x for x in scene.exchanges if ("EnableMobility", "false") in _lower(x.facts.settings)]
    refused = [x for x in scene.under(_UCWA, _MCX) if x.facts.error in _NO_MOBILITY]
    refused += [
        x
        for x in scene.under(_UCWA)
        if x.method == "POST" and x.path.endswith("/applications") and x.status == 403
        if from_pool(x) and not is_html(x) and not x.facts.diagnostics
    ]
    if scene.ok or not (refused or off):
        return None
    return certain(*[saw(x) for x in refused[:1]], *[saw(x, "EnableMobility False") for x in off[:1]])


def _lower(settings: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    return [(name, value.lower()) for name, value in settings]


def _registers(message: SipMessage) -> bool:
    """A mobility service's REGISTER was answered 200."""
    good = message.method == "REGISTER" and message.status == 200
    return good and (message.contact is None or message.contact.rpartition(":")[2] in _PORTS)


def _no_registration(scene: Scene) -> Sighting | None:
    failed = [
        x
        for x in scene.at(Stage.REGISTER)
        if x.method == "POST" and x.status == 500 and from_pool(x) and not is_html(x)
        if not x.facts.diagnostics and x.facts.error not in ("SessionNotFound", "InvalidRequest")
    ]
    if not failed or scene.ok or any(map(_registers, scene.sip)):
        return None
    seen = saw(failed[-1], x.facts.error if (x := failed[-1]).facts.error else "")
    if scene.traced:
        errors = [line for line in scene.lines if _is_error(line)]
        return certain(seen, *[saw(line) for line in errors[:1]], absent("no REGISTER was answered 200"))
    return likely(seen)


def _is_error(line: TraceLine) -> bool:
    return line.level in ("TL_ERROR", "TL_FATAL")


def _no_mcx(scene: Scene) -> Sighting | None:
    for x in scene.under(_MCX):
        if x.status == 404 and from_pool(x) and not scene.ok and x.facts.document is not Document.FAULT:
            elsewhere = {fqdn_of(e) for e in scene.exchanges if from_pool(e) and e.stage != x.stage}
            if elsewhere and fqdn_of(x) not in elsewhere:
                return certain(saw(x, "no other request was answered by this server"))
            return likely(saw(x))
    return None


def _no_certificates(scene: Scene) -> Sighting | None:
    asked = scene.under(_CERTIFICATES)
    if any(x.status == 200 for x in asked):
        return None
    for x in asked:
        if x.status in (403, 404, 405) and not from_pool(x):
            return certain(saw(x))
    return None


_ENABLE = (
    Fix(
        said="See which policy applies to the user.",
        command="Get-CsUser -Identity 'sip:{user}' | Select-Object MobilityPolicy; Get-CsMobilityPolicy",
    ),
    Fix(
        said="Give the user a policy that allows mobility; make one first if there is none.",
        command="New-CsMobilityPolicy -Identity 'MobilityOn' -EnableMobility $true; "
        "Grant-CsMobilityPolicy -Identity 'sip:{user}' -PolicyName 'MobilityOn'",
    ),
    Fix(
        said="Or allow it to everybody.",
        command="Set-CsMobilityPolicy -Identity Global -EnableMobility $true",
    ),
)

ENTRIES = (
    Entry(
        code="F34",
        title="the mobility service is stuck on one front end",
        stage=Stage.REGISTER,
        symptom="E_UcwaUnavailable (E2-3-48), for those who get to that front end; others are fine.",
        looks="503 in HTML for /ucwa with the X-MS-Server-Fqdn of one server, while others answer 401 and "
        "201.",
        cause="The application pool of the service does not answer on that server.",
        sure="Open /ucwa/v1/applications on each front end: the healthy answer is 401.",
        fixes=(
            Fix(
                said="Restart IIS on that server; restarting the site in IIS Manager did not help. Until "
                "then, drain the member in rules.yaml.",
                command="Invoke-Command -ComputerName '{server}' {{ iisreset }}",
            ),
        ),
        sources=((Grade.FIELD, "techmikal.com, UCWA 503 – E_UcwaUnavailable (E2-3-48)"),),
        sees=_stuck,
        explains=("F36",),
        alike="F36, where the same server answers other requests well.",
    ),
    Entry(
        code="F35",
        title="the mobility service fails after its application pool was recycled",
        stage=Stage.REGISTER,
        symptom="Lync 2013 has a ticket, and no application.",
        looks="500 in HTML for /ucwa: an error of ASP.NET's, where an error of UCWA's would be JSON or XML.",
        cause="LyncUcwa was recycled (antivirus scanning its directory, for example), and the new instance "
        "overlapped with the old one. The event log has event 1309: “instance of CollaborationPlatform "
        "cannot be used…”.",
        sure="The application event log of the server that the answer names, event 1309.",
        fixes=(
            Fix(
                said="Let the pool not overlap when it recycles, and restart it.",
                command='& "$env:windir\\system32\\inetsrv\\appcmd.exe" set apppool LyncUcwa '
                "/recycling.disallowOverlappingRotation:true /processModel.shutdownTimeLimit:00:00:30; "
                "iisreset",
            ),
        ),
        sources=(
            (
                Grade.DOCUMENT,
                "Office support, server configuration: UCWA mobility web service does not accept connections",
            ),
        ),
        sees=_failing,
    ),
    Entry(
        code="F36",
        title="too many requests are pending",
        stage=Stage.REGISTER,
        symptom="Under load some phones sign in and others don't, as it comes.",
        looks="503 in HTML from a front end that answers other requests well; held polls count.",
        cause="A front end takes 10,000 pending requests of UCWA and 5,000 of MCX, and refuses what comes on "
        "top.",
        sure="The counters of the mobility service, and lyncgate_polls_held.",
        fixes=(Fix(said="Spread users over more front ends; find out what opens so many polls."),),
        sources=(
            (
                Grade.DOCUMENT,
                "Lync Server 2013 library, monitoring mobility service and UCWA usage",
            ),
        ),
        sees=_overloaded,
        alike="F34, where that server answers nobody well.",
    ),
    Entry(
        code="F40",
        title="mobility is off for the user",
        stage=Stage.MOBILITY_POLICY,
        symptom="The user is told that this is not allowed.",
        looks="403 in JSON or XML for POST applications (UCWA), or a fault of MCX for InitiateSession.",
        cause="The mobility policy that applies has EnableMobility False: the user's own, else the site's, "
        "else the global one.",
        sure="Get-CsUser -Identity <user> | Select-Object MobilityPolicy; Get-CsMobilityPolicy",
        fixes=_ENABLE,
        sources=(
            (
                Grade.DOCUMENT,
                "UCWA documentation, applications; Lync Server 2013 library, configuring mobility policy",
            ),
        ),
        sees=_not_allowed,
    ),
    Entry(
        code="F41",
        title="the mobility service can't register at its front end",
        stage=Stage.REGISTER,
        symptom="The log-on works, and no session comes of it.",
        looks="500 in the service's own form for the session or application. In a front end's trace there "
        "is no REGISTER with a Contact on 5086 to 5089 that is answered 200.",
        cause="The SIP ports of the mobility services are not set in the topology, or certificates of the "
        "pool are no good for mutual TLS.",
        sure="A trace of the front end (SIPStack): is there a REGISTER from the service, and what is the "
        "answer?",
        fixes=(
            Fix(
                said="Set the ports, and publish the topology.",
                command="Set-CsWebServer -Identity '{pool}' -McxSipPrimaryListeningPort 5086 "
                "-McxSipExternalListeningPort 5087 -UcwaSipPrimaryListeningPort 5089 "
                "-UcwaSipExternalListeningPort 5088; Enable-CsTopology",
            ),
            Fix(
                said="Look at the pool's certificates: names, dates, and that they may be used by clients "
                "too.",
                command="Get-CsCertificate",
            ),
        ),
        sources=(
            (Grade.DOCUMENT, "TechNet NextHop, five FAQ on mobility (2012-08-14), its title only"),
            (Grade.INFERRED, "that this is how it shows"),
        ),
        sees=_no_registration,
    ),
    Entry(
        code="F47",
        title="MCX is sought on a Director",
        stage=Stage.REGISTER,
        symptom="Lync 2010 on phones gets no session; discovery and log-on work.",
        looks="404 for /Mcx, with the X-MS-Server-Fqdn of a server that has no such service.",
        cause="/Mcx leads to a Director. Autodiscover is on Directors and front ends, the mobility service "
        "on front ends only.",
        sure="X-MS-Server-Fqdn of the 404: which server is that?",
        fixes=(
            Fix(
                said="Let the web services name of the home pool lead to its front ends.",
                command="lyncgate explain https://{web}/Mcx/McxService.svc",
            ),
        ),
        sources=(
            (Grade.DOCUMENT, "Lync Server 2013 library, topologies and components for mobility"),
            (Grade.INFERRED, "that this is how it shows"),
        ),
        sees=_no_mcx,
    ),
    Entry(
        code="F48",
        title="certificate provisioning is not published",
        stage=Stage.CERTIFICATE,
        symptom="Clients that want a certificate fail (desktops, Lync 2010 on Windows Phone); others don't "
        "notice.",
        looks="404 for /CertProv without X-MS-Server-Fqdn: the proxy says it.",
        cause="The proxy publishes single paths, and /CertProv is not among them.",
        sure="lyncgate explain https://<web services>/CertProv/CertProvisioningService.svc/mex",
        fixes=(
            Fix(
                said="Publish all paths of the web services name.",
                command="lyncgate explain https://{web}/CertProv/CertProvisioningService.svc/mex",
            ),
        ),
        sources=(
            (Grade.FIELD, "pastebin.com/2r63aX4k, sign-in log of a desktop client"),
            (
                Grade.DOCUMENT,
                "Skype for Business library, Edge system requirements, that it is to be published",
            ),
        ),
        sees=_no_certificates,
    ),
)
