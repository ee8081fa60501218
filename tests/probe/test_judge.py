"""What answers are worth, whatever they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.client.http import Reply
from lyncgate.lync import autodiscover
from lyncgate.probe import judge
from lyncgate.probe.check import SAID_LIMIT, Verdict, printable

URL = "https://lyncdiscover.contoso.example/"
WEB = "https://lyncweb.contoso.example"
FE = ("x-ms-server-fqdn", "fe01.contoso.local")


def reply(status: int, *headers: tuple[str, str], body: bytes = b"") -> Reply:
    return Reply(status, (*headers, ("content-length", str(len(body)))), body)


def document(*links: tuple[str, str], location: str = "External") -> Reply:
    made = autodiscover.root_document(links, autodiscover.XML.encode(), location)
    return reply(200, ("content-type", made.content_type), FE, body=made.body)


ROOT = document(("User", f"{WEB}/root/user"))


def root(answer: Reply, *, inside: bool = False, url: str = URL) -> judge.Judged:
    return judge.root(url, answer, "contoso.example", inside=inside)


def test_a_root_document_is_good() -> None:
    judged = root(ROOT)
    assert judged.verdict is Verdict.OK
    assert judged.document is not None
    assert judged.said == "AccessLocation External, links User, from fe01.contoso.local"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (reply(404, ("content-type", "text/html")), "404 not from the pool, an HTML page"),
        (reply(200, ("content-type", "text/html"), FE), "an HTML page from fe01"),
        (reply(200, ("content-type", "text/xml"), body=ROOT.body), "no document that phones take"),
        (document(("Self", WEB)), "neither User nor Redirect"),
        (document(("User", WEB), location="Internal"), "AccessLocation Internal"),
        (document(("Redirect", "http://lyncweb.contoso.example/")), "which is not HTTPS"),
        (document(("Redirect", "https://lyncweb.contoso.example:4443/")), "port 4443, and only 443"),
        (reply(302, ("location", "https://www.fabrikam.example/")), "not in contoso.example"),
        (reply(301, ("location", "https://[contoso")), "where to is no URL"),
    ],
)
def test_what_phones_can_not_use(answer: Reply, said: str) -> None:
    judged = root(answer)
    assert judged.verdict is Verdict.FAIL
    assert said in judged.said


def test_the_internal_document_is_right_inside() -> None:
    assert root(document(("User", WEB), location="Internal"), inside=True).verdict is Verdict.OK


def test_a_redirect_of_http_within_the_domain_is_followed() -> None:
    judged = root(reply(301, ("location", "/x")), url="http://lyncdiscover.contoso.example/")
    assert judged.verdict is Verdict.WARN
    assert judged.onward == "http://lyncdiscover.contoso.example/x"


def test_a_body_without_a_length_is_warned_of() -> None:
    judged = root(Reply(200, ROOT.headers[:2], ROOT.body))
    assert judged.verdict is Verdict.WARN
    assert judged.document is not None


@pytest.mark.parametrize(
    ("token", "answer", "verdict"),
    [
        ("User", reply(401, FE), "ok"),
        ("User", reply(200, FE), "FAIL"),
        ("Ucwa", reply(503, ("content-type", "text/html"), FE), "FAIL"),
        ("Ucwa", reply(401, ("content-type", "text/html")), "warn"),
        ("External/Mcx", reply(405, FE), "ok"),
        ("External/Mcx", reply(404, FE), "FAIL"),
        ("XFrame", reply(200, ("content-type", "text/html"), FE), "ok"),
    ],
)
def test_urls_that_were_handed_out(token: str, answer: Reply, verdict: str) -> None:
    assert judge.handed_out(token, answer).verdict == verdict


def test_schemes_in_one_line_or_several() -> None:
    assert judge.schemes(reply(401, ("www-authenticate", "Negotiate,NTLM"))) == ["Negotiate", "NTLM"]
    oauth = ("www-authenticate", 'MsRtcOAuth href="https://a/",grant_type="x,y"')
    ticket = ("x-ms-webticketurl", f"{WEB}/WebTicket/WebTicketService.svc")
    assert judge.schemes(reply(401, oauth, ("www-authenticate", "NTLM"), ticket)) == [
        "MsRtcOAuth",
        "NTLM",
        "web tickets at lyncweb.contoso.example",
    ]


def test_urls_that_phones_outside_use() -> None:
    links = [
        ("Internal/Ucwa", "https://pool01.contoso.local/ucwa"),
        ("Internal/Mcx", f"{WEB}/Mcx"),
        ("External/Mcx", f"{WEB}/Mcx"),
        ("External/Ucwa", "https://lyncweb.contoso.example:4443/ucwa"),
        ("Ucwa", "http://lyncweb.contoso.example/ucwa"),
    ]
    assert judge.urls(links) == [("External/Mcx", f"{WEB}/Mcx")]
    assert judge.hosts(links) == ["lyncweb.contoso.example"]
    assert [(token, why) for token, _, why in judge.broken(links)] == [
        ("External/Ucwa", "names port 4443, and only 443 is published"),
        ("Ucwa", "is not HTTPS"),
    ]


def test_who_answered_how_often() -> None:
    assert judge.servers(["fe01", "fe02", "fe01", None]) == "fe01 2×, fe02 1×, no front end 1×"


fields = st.tuples(
    st.sampled_from(["content-type", "location", "www-authenticate", "x-ms-webticketurl", FE[0]]), st.text()
)
replies = st.builds(
    Reply,
    st.integers(100, 599),
    st.lists(fields, max_size=4).map(tuple),
    st.binary(max_size=200) | st.just(ROOT.body),
)


@given(replies, st.booleans())
def test_every_answer_is_judged(answer: Reply, inside: bool) -> None:
    judged = root(answer, inside=inside)
    assert judged.said
    assert judged.document is None or judged.verdict is not Verdict.OK or answer.status == 200
    assert judge.handed_out("User", answer).said
    assert judge.representation("a", autodiscover.JSON, answer).said is not None


@given(st.text() | st.builds("https://{}".format, st.text()))
def test_a_url_is_usable_or_says_why(url: str) -> None:
    host = judge.host_of(url)
    assert bool(host) != bool(judge.unusable(url))
    assert host == "" or host.isascii()


@given(st.text())
def test_what_is_said_is_one_bounded_line(text: str) -> None:
    said = printable(text)
    assert len(said) <= SAID_LIMIT
    assert said.isprintable()


def test_no_ticket_is_said() -> None:
    assert "cwt=" not in printable("the ticket cwt=AAEBHAEFAAAAAAAFFQAAA was refused")
    assert printable("A" * 60) == "…"
    assert printable(f"{WEB}{autodiscover.AUTODISCOVER_ROOT}/user") == (
        f"{WEB}/Autodiscover/AutodiscoverService.svc/root/user"
    )
