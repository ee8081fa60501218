"""The pages over HTTP: what is there, what is refused, and that nothing from outside is more than text."""

from __future__ import annotations

import asyncio
import contextlib
import html.parser
import http.client
import json
import re
from collections.abc import Iterator

import pytest

from lyncgate.observe.admin import Admin, Readiness
from lyncgate.observe.journal.reader import Reader
from lyncgate.observe.journal.schema import Place
from lyncgate.observe.metrics import Metrics
from lyncgate.observe.pages.base import is_allowed
from lyncgate.observe.pages.filters import Filter
from lyncgate.observe.pages.site import Pages
from lyncgate.signin.catalogue.catalogue import CATALOGUE
from observe.pages.served import Served, served
from support.processes import wait_until
from support.stories import healthy, hostile, stories, told, wrong_password


@pytest.fixture(scope="module")
def site() -> Iterator[Served]:
    with told(*stories()) as journal, served(lambda: journal.reader, hosts=("edge.contoso.example",)) as site:
        yield site


@pytest.fixture(scope="module")
def ids(site: Served) -> dict[str, str]:
    """Sign-ins by what stands before the @ of their user."""
    return {(row.user or "").partition("@")[0]: row.id for row in site.reader().list()}


def test_the_list_has_everybody(site: Served, ids: dict[str, str]) -> None:
    for path in ("/", "/signins"):
        page = site.get(path)
        assert page.status == 200
        assert len(re.findall(r"<tr id=", page.text)) == len(ids)
        assert "failed at Certificate" in page.text
        assert 'aria-label="8 ok, 1 failed, 5 not reached: Ticket, certificate"' in page.text


class Nesting(html.parser.HTMLParser):
    """Elements that are open; raises AssertionError where one ends that is not the last that began."""

    VOID = ("meta", "link", "input", "br", "hr", "img", "wbr")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        """Of SVG: begun and ended."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()


def test_what_begins_ends_where_it_should(site: Served, ids: dict[str, str]) -> None:
    """Browsers make something of everything: a card that does not end has the rest of the page in it."""
    for path in ("/", "/findings", "/findings/F40", "/none", *(f"/signins/{id_}" for id_ in ids.values())):
        nesting = Nesting()
        nesting.feed(site.get(path).text)
        assert nesting.open == [], path


def test_of_a_row_that_failed_what_broke_it_is_red(site: Served, ids: dict[str, str]) -> None:
    page = site.get(f"/signins/{ids['bob']}").text
    row = page.partition('<li class="stage failed"')[2].partition("</svg></span>")[0]
    blocks = re.findall(r'<rect class="(good|bad)', row)
    assert (blocks[-1], blocks.count("bad")) == ("bad", 1), blocks
    assert "good" in blocks
    assert 'class="bad' not in page.replace(row, "")


@pytest.mark.parametrize(
    ("query", "users"),
    [
        ("user=ALICE", ["alice"]),
        ("outcome=bad&device=windows", ["bob", "user07"]),
        ("outcome=good", ["erin", "alice"]),
        ("client=203.0.113.9", ["user07", "frank"]),
        ("code=f40", ["frank"]),
        ("since=15m", ["erin"]),
        ("user=nobody", []),
    ],
)
def test_filters(site: Served, ids: dict[str, str], query: str, users: list[str]) -> None:
    page = site.get(f"/signins?{query}")
    assert re.findall(r'<tr id="s-(\w+)"', page.text) == [ids[user] for user in users]
    if not users:
        assert "No sign-in fits" in page.text


@pytest.mark.parametrize(
    "query",
    [
        "outcome=%3Cscript%3E",
        "since=9999d",
        "user=%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
        "user=" + "x" * 4000,
        "before=1~2~3",
        "before=%00",
        "code='%20OR%201=1--",
        "user=%ff%fe",
        "nonsense=1&user=a&user=b",
    ],
)
def test_no_filter_breaks_the_page(site: Served, query: str) -> None:
    page = site.get(f"/signins?{query}")
    assert page.status in (200, 400)
    assert "<script>alert" not in page.text


def test_one_sign_in(site: Served, ids: dict[str, str]) -> None:
    page = site.get(f"/signins/{ids['bob']}")
    assert page.status == 200
    assert page.text.count('<li class="stage ') == 14
    assert '<li class="stage failed" id="row-9">' in page.text
    # The finding comes before the stages, its evidence leads to the event.
    assert page.text.index('class="finding"') < page.text.index("Fourteen stages")
    for event in re.findall(r'href="#e-(\w+)"', page.text):
        assert f'id="e-{event}"' in page.text
    assert re.search(r'href="/findings/F\d\d"', page.text)
    assert "Get-" in page.text


def test_an_export_is_whole(site: Served, ids: dict[str, str]) -> None:
    as_json = site.get(f"/signins/{ids['alice']}.json")
    document = json.loads(as_json.text)
    assert (document["id"], document["user"]) == (ids["alice"], "alice@contoso.example")
    assert len(document["stages"]) == 15
    assert as_json.headers["Content-Disposition"].startswith("attachment; filename=")
    har = json.loads(site.get(f"/signins/{ids['alice']}.har").text)
    exchanges = [event for event in healthy() if event.type == "exchange"]
    assert len(har["log"]["entries"]) == len(exchanges)


def test_every_finding_has_a_page(site: Served) -> None:
    index = site.get("/findings").text
    for code, entry in CATALOGUE.items():
        assert f'href="/findings/{code}"' in index
        page = site.get(f"/findings/{code}")
        assert page.status == 200
        assert entry.title[1:20].replace("'", "&#x27;") in page.text
        assert not re.search(r"\{\w+\}", page.text), code  # no command with holes


@pytest.mark.parametrize(
    "path",
    ["/signins/0000000000000000", "/signins/../x", "/signins/%3Cscript%3E", "/findings/F99", "/findings/F00",
     "/static/none.css", "/static/..%2fbase.py", "/signins/x/y"],
)  # fmt: skip
def test_what_is_not_there(site: Served, path: str) -> None:
    page = site.get(path)
    assert page.status == 404
    assert "<script>" not in page.text


def test_every_answer_has_the_policy(site: Served, ids: dict[str, str]) -> None:
    for path in ("/", f"/signins/{ids['alice']}", "/findings", "/signins/none", "/static/page.js"):
        page = site.get(path)
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert "Server" not in page.headers
        assert not re.search(r"<script(?! src=)|\sstyle=|\son\w+=\"", page.text)


def test_head_has_what_get_has(site: Served, ids: dict[str, str]) -> None:
    for path in ("/", "/signins", f"/signins/{ids['frank']}", "/findings/F20", "/static/page.css", "/none"):
        got, head = site.get(path), site.get(path, method="HEAD")
        assert head.status == got.status
        assert head.text == ""
        if path not in ("/", "/signins"):  # their length may change from one second to the next
            assert head.headers["Content-Length"] == got.headers["Content-Length"]
    assert site.get("/signins/live", method="HEAD").status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_changed(site: Served, method: str) -> None:
    page = site.get("/signins", method=method)
    assert page.status == 405
    assert page.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("127.0.0.1:9145", True),
        ("127.0.0.1", True),
        ("[::1]:9145", True),
        ("[::1]", True),
        ("localhost:9145", True),
        ("LOCALHOST", True),
        ("10.1.2.3:9145", True),
        ("edge.contoso.example:9145", True),
        ("Edge.Contoso.Example.", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example:9145", False),
        ("evil.example:127", False),
        ("", False),
        ("2130706433", False),
    ],
)
def test_who_may_ask(host: str, allowed: bool) -> None:
    assert is_allowed(host, ("edge.contoso.example",)) is allowed


def test_a_name_of_somebody_elses_is_refused(site: Served, ids: dict[str, str]) -> None:
    """DNS rebinding: a web site's own name leads to our address."""
    for path in ("/", f"/signins/{ids['alice']}.json", "/signins/live", "/static/page.js", "/none"):
        page = (
            site.get(path, Host="rebound.example:9145")
            if path != "/none"
            else site.get("/signins/", Host="x.y")
        )
        assert page.status == 421
        assert "alice" not in page.text
        assert "admin: {hosts: [name]}" in page.text
    assert site.get("/", Host="edge.contoso.example").status == 200


def test_a_theme_is_a_cookie_of_two_values(site: Served) -> None:
    assert '<html lang="en">' in site.get("/").text
    assert '<html lang="en" data-theme="dark">' in site.get("/", Cookie="theme=dark").text
    assert '<html lang="en">' in site.get("/", Cookie='theme="><script>').text


def test_what_comes_from_outside_is_text(site: Served, ids: dict[str, str]) -> None:
    hostile_id = next(id_ for user, id_ in ids.items() if user.startswith("mallory"))
    for path in ("/", f"/signins/{hostile_id}"):
        text = site.get(path).text
        assert "&lt;script&gt;alert(1)" in text
        assert not re.search(r"<script>|<img|href=.javascript:|\x1b|\u202e", text)


def test_an_empty_journal_says_how_to_begin() -> None:
    with told() as journal, served(lambda: journal.reader) as site:
        assert "Nobody has signed in yet" in site.get("/").text
        assert "lyncgate demo --keep" in site.get("/").text


def test_no_journal_is_said(tmp_path: pytest.TempPathFactory) -> None:
    gone = Reader(Place.of(f"{tmp_path}/none.db"))
    with served(lambda: gone) as site:
        page = site.get("/")
        assert page.status == 200
        assert "there is no such file" in page.text
        assert site.get("/signins/0123456789abcdef").status == 503
        live = site.get("/signins/live")
        assert live.text == ""


def test_older_pages_are_a_link_away() -> None:
    many = [
        wrong_password(started=1_795_000_000.0 + 60 * n, user=f"user{n}@contoso.example") for n in range(120)
    ]
    with told(*many) as journal, served(lambda: journal.reader) as site:
        first = site.get("/signins?user=user")
        older = re.search(r'href="(/signins\?[^"]*before=[^"]*)"', first.text)
        assert older
        rest = site.get(older[1].replace("&amp;", "&"))
        shown = re.findall(r"<tr id=", first.text), re.findall(r"<tr id=", rest.text)
        assert [len(rows) for rows in shown] == [100, 20]
        assert 'data-live=""' in rest.text  # nothing new comes to what is past


def test_a_stream_tells_what_is_new() -> None:
    with told(healthy()) as journal, served(lambda: journal.reader) as site:
        revision = journal.reader.revision()
        with site.stream(f"/signins/live?revision={revision}") as lines:
            first = _data(lines)
            assert len(first["ids"]) == 1
            assert first["rows"] == {}  # the page has it already
            journal.tell(hostile())
            while len((news := _data(lines))["ids"]) == 1:
                pass
            new = set(news["ids"]) - set(first["ids"])
            assert new <= set(news["rows"])
            assert not re.search(r"<script>|<img", "".join(news["rows"].values()))


def test_streams_are_not_without_end() -> None:
    with told() as journal, served(lambda: journal.reader) as site, contextlib.ExitStack() as open_:
        for _ in range(32):
            _data(open_.enter_context(site.stream("/signins/live")))
        assert site.get("/signins/live").status == 503
        open_.close()
        wait_until(lambda: _status(site) == 200, "a stream that is free again")


def _status(site: Served) -> int:
    with site.stream("/signins/live") as answer:
        return answer.status


def _data(lines: http.client.HTTPResponse) -> dict[str, object] | None:
    while line := lines.readline():
        if line.startswith(b"data: "):
            return json.loads(line.removeprefix(b"data: "))
    raise AssertionError("the stream ended")


def test_a_filters_url_says_the_same() -> None:
    asked = {"user": ["a b&c"], "outcome": ["bad"], "since": ["1h"], "device": [""]}
    filter_ = Filter.read(asked)
    assert filter_.arguments() == "user=a+b%26c&outcome=bad&since=1h"
    assert filter_.wanted(10_000.0)["since"] == 6400.0
    assert filter_.wanted(0.0)["failed"] is True


def test_a_process_that_ends_says_nothing_of_lists_that_are_open() -> None:
    said: list[dict[str, object]] = []

    async def run(reader: Reader) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: said.append(context))
        admin = Admin(Metrics(), lambda: Readiness(True), Pages(lambda: reader, lambda: ()))
        port = await admin.start("127.0.0.1", 0)
        incoming, outgoing = await asyncio.open_connection("127.0.0.1", port)
        outgoing.write(b"GET /signins/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await incoming.readuntil(b"data: ")
        await admin.stop()
        outgoing.close()

    with told(*stories()) as journal:
        asyncio.run(run(journal.reader))
    assert said == []
