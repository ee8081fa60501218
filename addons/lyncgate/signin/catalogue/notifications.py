"""What comes after the sign-in: polls that end, pushes that don't arrive, meetings: F37, F38, F49, F50."""

from __future__ import annotations

from lyncgate.lync.stages import Stage
from lyncgate.signin.catalogue.entry import Entry, Sighting, certain, likely, possible
from lyncgate.signin.catalogue.look import GONE, absent, from_pool, is_poll, saw
from lyncgate.signin.catalogue.scene import Scene
from lyncgate.signin.exchange import Exchange, Outcome
from lyncgate.signin.facts import Document
from lyncgate.signin.finding import Fix, Grade

_CUT = (502, 504)
_CUT_OUTCOMES = (Outcome.UPSTREAM_RESET, Outcome.UPSTREAM_TIMEOUT)
_PATIENT = 1800.0  # seconds: the longest that a poll may ask for; ending later is no fault
_SAME = 0.1  # two durations are one, if they differ by less than this part of them, or by
_SAME_SECONDS = 1.0
_REPLACED = ("PGetReplaced", "PollReplaced")
_FEDERATION = "_sipfederationtls._tcp."
_UNREACHED = (408, 502, 503, 504)  # of a MESSAGE: the push service was not reached
_MEETINGS = ("/hosting", "/m", "/p", "/wv")  # paths of Office Web Apps; /hosting/discovery is documented
_BAD_GATEWAY = (500, 502, 503, 504)


def _cut_short(x: Exchange) -> bool:
    """A poll that somebody on the way ended."""
    if not is_poll(x) or x.seconds is None or x.seconds >= _PATIENT:
        return False
    return (x.status in _CUT and not from_pool(x)) or x.outcome in _CUT_OUTCOMES


def _gave_up(scene: Scene) -> Sighting | None:
    cut = [x for x in scene.exchanges if _cut_short(x)]
    if not cut:
        return None
    first, seconds = cut[0], cut[0].seconds or 0.0
    seen = saw(first, f"after {seconds:.1f} s")
    if any(
        x.facts.document is Document.EVENTS and (x.seconds or 0.0) > 2 * seconds + 1 for x in scene.exchanges
    ):
        return None  # longer ones are left alone: a server went down, or the like
    again = [x for x in cut[1:] if abs((x.seconds or 0.0) - seconds) < max(_SAME * seconds, _SAME_SECONDS)]
    if again:
        return certain(seen, saw(again[0], f"after {again[0].seconds:.1f} s"))
    return likely(seen)


def _repeated(scene: Scene) -> Sighting | None:
    for x in scene.exchanges:
        if x.facts.error not in _REPLACED:
            continue
        rivals = [e for e in scene.exchanges if e.id != x.id and is_poll(e) and _overlap(e, x)]
        if not rivals:
            return certain(saw(x, x.facts.error or ""), absent("the client had one poll up only"))
        if x.keys.application is None:
            return possible(saw(x, x.facts.error or ""))
    return None


def _overlap(other: Exchange, x: Exchange) -> bool:
    """Both polls of one session were up at one time."""
    if other.keys.application != x.keys.application:
        return False
    end, other_end = x.started + (x.seconds or 0.0), other.started + (other.seconds or _PATIENT)
    return other.started <= end and other_end >= x.started


def _no_push(scene: Scene) -> Sighting | None:
    records = [q for q in scene.dns if q.name.startswith(_FEDERATION) and not q.answers and q.rcode]
    sent = [m for m in scene.sip if m.method == "MESSAGE" and m.status in _UNREACHED]
    subscribed = any("Push" in (x.facts.operation or "") for x in scene.exchanges)
    if sent and (subscribed or records):
        evidence = [saw(sent[0]), *[saw(q) for q in records[:1]]]
        return certain(*evidence) if records else likely(*evidence)
    if sent and not scene.exchanges:
        return likely(saw(sent[0]))
    if records:
        return likely(saw(records[0]))
    return None


def _meetings(scene: Scene) -> Sighting | None:
    for x in scene.under(*_MEETINGS):
        if x.path.startswith(("/meet", "/mcx")):
            continue
        if (x.status in _BAD_GATEWAY and not from_pool(x)) or x.outcome in (*GONE, Outcome.TLS_FAILED):
            return certain(saw(x)) if x.path.startswith("/hosting/discovery") else likely(saw(x))
        if x.path.startswith("/hosting/discovery") and x.status == 404 and from_pool(x):
            return certain(saw(x, "a front end answers in place of the Office Web Apps server"))
    return None


ENTRIES = (
    Entry(
        code="F37",
        title="something on the way gives up on polls",
        stage=Stage.NOTIFICATIONS,
        symptom="The phone signs in, and is disconnected again and again, always after the same time.",
        looks="Polls that end with 502, 504 or a reset after a constant time (30, 60, 120, 180, 230 s …), "
        "without X-MS-Server-Fqdn.",
        cause="A proxy, load balancer or firewall has an idle time-out that is shorter than a poll. Polls "
        "hang without a byte for 180 s to 1800 s.",
        sure="The time after which polls end is the time-out to look for.",
        fixes=(
            Fix(
                said="Set the time-out of every hop to 960 s at least, 1860 s covers all. In lyncgate: "
                "`timeouts: {poll: 31m}`, which is the default.",
                command="lyncgate probe {user} --poll 960",
            ),
        ),
        sources=(
            (Grade.DOCUMENT, "Lync Server 2013 library, web publishing rules for a single internal pool"),
            (Grade.INFERRED, "1860 s, from the longest poll that UCWA allows"),
        ),
        sees=_gave_up,
    ),
    Entry(
        code="F38",
        title="something on the way repeats polls",
        stage=Stage.NOTIFICATIONS,
        symptom="The poll ends before anything happened, each time; one device only is signed in.",
        looks="409 PGetReplaced, though the client has one poll up only.",
        cause="A proxy repeated the request when no answer came, and the second took the first one's place; "
        "or the application's id is used twice.",
        sure="Count the polls of the application here and in the front end's IIS log.",
        fixes=(
            Fix(
                said="Turn retries off on whatever stands behind; lyncgate repeats nothing once it was sent."
            ),
        ),
        sources=((Grade.DOCUMENT, "UCWA documentation, EventChannelDetails"),),
        sees=_repeated,
    ),
    Entry(
        code="F49",
        title="no push notifications",
        stage=Stage.NOTIFICATIONS,
        symptom="Signing in is fine; in the background the phone hears of nothing.",
        looks="504 for MESSAGE in a trace of the Access Edge or a front end; no _sipfederationtls._tcp "
        "record.",
        cause="The push service is reached by federation: the SRV record is missing, the Access Edge does "
        "not trust it or is not trusted, or the hosting provider, allowed domain or push URI is not set.",
        sure="Test-CsMcxPushNotification -AccessEdgeFqdn <Access Edge>",
        fixes=(
            Fix(
                said="Add the record of federation.",
                command="_sipfederationtls._tcp.{domain}. 3600 IN SRV 0 0 5061 <Access Edge>.",
            ),
            Fix(
                said="Let the pool federate with the push service.",
                command="New-CsHostingProvider -Identity 'LyncOnline' -Enabled $true -ProxyFqdn "
                "'sipfed.online.lync.com'; New-CsAllowedDomain -Identity 'push.lync.com'; "
                "Set-CsPushNotificationConfiguration -EnableApplePushNotificationService $true "
                "-EnableMicrosoftPushNotificationService $true",
            ),
        ),
        sources=(
            (Grade.DOCUMENT, "Lync Server 2013 library, test push notifications; configuring for push"),
        ),
        sees=_no_push,
    ),
    Entry(
        code="F50",
        title="the Office Web Apps server is bridged as a front end is",
        stage=Stage.READY,
        symptom="Signing in is fine; PowerPoint presentations in meetings fail.",
        looks="502 of the proxy for the Office Web Apps name (/hosting/discovery and others), or a front "
        "end's 404.",
        cause="The proxy sends its 443 to 4443. Office Web Apps has one site only, on 443 and 80.",
        sure="https://<Office Web Apps name>/hosting/discovery has to show an XML document.",
        fixes=(
            Fix(
                said="Bridge 443 to 443 and 80 to 80 for that name. In lyncgate: a pool of its own with "
                "`external: {https: 443, http: 80}`."
            ),
        ),
        sources=((Grade.DOCUMENT, "Lync Server 2013 library, port summary for reverse proxy"),),
        sees=_meetings,
    ),
)
