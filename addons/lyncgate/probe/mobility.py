"""The mobility services, as phones use them: UCWA, and MCX by what shows without a session.

An application is made, looked at from several connections, polled, and deleted again, whatever happens in
between. makeMeAvailable is left out: nobody shall see the user come online because of a probe.
"""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urljoin, urlsplit

from lyncgate.lync.stages import Stage
from lyncgate.probe import judge
from lyncgate.probe.answer import Answer
from lyncgate.probe.check import Verdict
from lyncgate.probe.kit import Home, Kit
from lyncgate.probe.plan import AGENT
from lyncgate.signin.exchange import Outcome, Source

POLL_LEAST, POLL_MOST = 180, 1800  # seconds that a poll may ask for (protocol reference §6.3)
POLL_SPARE = 60  # seconds: asked for on top, so that it is not the pool that ends it
CLEAN_UP = 5.0  # seconds

type Json = dict[str, Any]


async def use_ucwa(kit: Kit, home: Home) -> None:
    """Everything of UCWA."""
    url = home.document.href("Ucwa") or home.document.href("External/Ucwa")
    if url is None:
        kit.record.check(Stage.REGISTER, "UCWA", Verdict.SKIPPED, "the user document has no link Ucwa")
        return
    if judge.unusable(url) or not url.startswith("https://"):
        return  # said of the document's URLs
    if not await _asked_for_a_ticket(kit, url):
        return
    async with _application(kit, home, url) as links:
        if links is None:
            return
        await _policies(kit, home, links)
        await _affinity(kit, home, links["self"])
        await _poll(kit, home, links["events"])


async def _asked_for_a_ticket(kit: Kit, url: str) -> bool:
    """UCWA without a ticket, on fresh connections: 401 from every front end that is met."""
    answers = []
    for number in range(kit.plan.connections):
        with kit.record.beside() if number else contextlib.nullcontext():
            line = await kit.web.line(url)
            answers.append(await kit.web.ask(url, line=line))
            await line.close()
    bad = [answer for answer in answers if answer.status != 401]
    seen = judge.servers([answer.server for answer in answers])
    what = f"GET {_path(url)} on {len(answers)} connections"
    if bad:
        said = f"{len(bad)} of {len(answers)} are no 401: {bad[0].said}; seen: {seen}"
        kit.say(Stage.REGISTER, what, Verdict.FAIL, said, bad[0])
    else:
        kit.say(Stage.REGISTER, what, Verdict.OK, f"401 each, {seen}", answers[0])
    return len(bad) < len(answers)


@contextlib.asynccontextmanager
async def _application(kit: Kit, home: Home, url: str) -> AsyncIterator[dict[str, str] | None]:
    """An application's links while it is there. None: there is none."""
    body = {"UserAgent": AGENT, "EndpointId": str(uuid.uuid4()), "Culture": "en-US"}
    headers = [("Content-Type", "application/json"), *home.ticket.headers]
    answer = await kit.web.ask(url, "POST", headers, json.dumps(body).encode())
    links = _links(answer, url) if answer.status == 201 else {}
    what = f"POST {_path(url)}"
    if not {"self", "events"} <= set(links):
        error = answer.exchange.facts.error
        said = answer.said + (f", {error}" if error else "")
        if answer.status == 201:
            said = "201, and no application that one can go on with"
        refused = answer.exchange.stage == Stage.MOBILITY_POLICY
        stage = Stage.MOBILITY_POLICY if refused else Stage.REGISTER
        kit.say(stage, what, Verdict.FAIL, said, answer)
        yield None
        return
    kit.say(Stage.REGISTER, what, Verdict.OK, f"an application at {answer.server or 'a front end'}", answer)
    try:
        yield links
    finally:
        gone = await kit.web.ask(links["self"], "DELETE", home.ticket.headers, seconds=CLEAN_UP)
        verdict = Verdict.OK if gone.status == 204 else Verdict.WARN
        said = "deleted again" if gone.status == 204 else f"{gone.said}: it goes away by itself"
        kit.say(Stage.REGISTER, "DELETE the application", verdict, said, gone)


async def _policies(kit: Kit, home: Home, links: dict[str, str]) -> None:
    url = links.get("policies")
    if url is None:
        return
    answer = await kit.web.ask(url, headers=home.ticket.headers)
    if answer.status != 200:
        kit.say(Stage.MOBILITY_POLICY, "GET policies", Verdict.FAIL, answer.said, answer)
        return
    told = ", ".join(f"{name} {value}" for name, value in answer.exchange.facts.settings[:4])
    kit.say(Stage.MOBILITY_POLICY, "GET policies", Verdict.OK, told or "enabled for mobility", answer)


async def _affinity(kit: Kit, home: Home, url: str) -> None:
    """The application asked for on fresh connections: is it known on each, and does that take a cookie?"""
    bare = await _ask_anew(kit, home, url, "")
    cookies = _cookies(bare)
    lost = [answer for answer in bare if answer.status != 200]
    seen = judge.servers([answer.server for answer in bare])
    what = f"the application on {len(bare)} new connections"
    if not lost:
        kit.say(Stage.REGISTER, what, Verdict.OK, f"known on each, {seen}", bare[-1])
        return
    said = f"{len(lost)} of {len(bare)} don't know it: {lost[0].said}; seen: {seen}"
    kit.say(Stage.REGISTER, what, Verdict.FAIL, said, lost[0])
    if cookies:
        kept = await _ask_anew(kit, home, url, cookies)
        good = sum(answer.status == 200 for answer in kept)
        names = ", ".join(cookie.partition("=")[0] for cookie in cookies.split("; "))
        said = f"known on {good} of {len(kept)} with the cookie {names}, which phones may not send back"
        verdict = Verdict.WARN if good == len(kept) else Verdict.FAIL
        kit.say(Stage.REGISTER, f"{what}, with cookies", verdict, said, kept[-1])


async def _ask_anew(kit: Kit, home: Home, url: str, cookies: str) -> list[Answer]:
    """The same question on `plan.connections` connections of their own."""
    answers = []
    headers = [*home.ticket.headers, *([("Cookie", cookies)] if cookies else [])]
    for _ in range(kit.plan.connections):
        with kit.record.beside():
            line = await kit.web.line(url)
            answers.append(await kit.web.ask(url, headers=headers, line=line))
            await line.close()
    return answers


def _cookies(answers: list[Answer]) -> str:
    """The cookies that the last answer with cookies set, as a client sends them back. Not for logs."""
    for answer in answers:
        if answer.reply and (fields := answer.reply.all("set-cookie")):
            return "; ".join(field.partition(";")[0].strip() for field in fields)
    return ""


async def _poll(kit: Kit, home: Home, url: str) -> None:
    """A poll, held for as long as was asked for: who ends it before?"""
    record, wanted = kit.record, kit.plan.poll
    if not wanted:
        record.check(Stage.NOTIFICATIONS, "poll", Verdict.SKIPPED, "not asked for (--poll 0)")
        return
    until, longest = time.monotonic() + wanted, 0.0
    timeout = min(max(POLL_LEAST, int(wanted) + POLL_SPARE), POLL_MOST)
    what = f"poll, held for {wanted:g} s"
    while (left := until - time.monotonic()) > 0:
        answer = await kit.web.ask(
            f"{url}&timeout={timeout}", headers=home.ticket.headers, lane="poll", seconds=left
        )
        took = answer.exchange.seconds or 0.0
        if answer.exchange.outcome is Outcome.UPSTREAM_TIMEOUT:  # it was we who had enough
            answer.exchange.outcome, answer.exchange.ended_by = Outcome.CLIENT_GONE, Source.CLIENT
            longest = max(longest, took)
            break
        links = _links(answer, url)
        url = links.get("next") or links.get("resync") or links.get("resume") or ""
        if answer.status != 200 or not url:
            kit.say(Stage.NOTIFICATIONS, what, Verdict.FAIL, _cut(answer, took), answer)
            return
        longest = max(longest, took)
    said = f"up, and nobody cut it; {longest:.0f} s without an answer were the longest"
    kit.say(Stage.NOTIFICATIONS, what, Verdict.OK, said, answer)


def _cut(answer: Answer, took: float) -> str:
    """When a poll ended and by whom."""
    if answer.reply is None:
        return f"cut after {took:.1f} s: {answer.problem}, by something in front of the pool, or the pool"
    if answer.status in (502, 503, 504) and answer.server is None:
        return f"cut after {took:.1f} s by something in front of the pool: {answer.said}"
    error = answer.exchange.facts.error
    return f"ended after {took:.1f} s: {answer.said}" + (f", {error}" if error else "")


def _links(answer: Answer, base: str) -> dict[str, str]:
    """Relation → absolute URL, of the application and what is embedded in it; none where it makes no sense,
    or leads to another host."""
    try:
        top = json.loads(answer.body)
    except ValueError:
        return {}
    found: dict[str, str] = {}
    for resource in (*_embedded(top), top):
        links = resource.get("_links") if isinstance(resource, dict) else None
        for relation, link in links.items() if isinstance(links, dict) else ():
            href = link.get("href") if isinstance(link, dict) else None
            if isinstance(href, str):
                with contextlib.suppress(ValueError):
                    found[relation] = urljoin(base, href)
    origin = "{0.scheme}://{0.netloc}/".format(urlsplit(base))
    return {relation: url for relation, url in found.items() if url.startswith(origin)}


def _embedded(resource: Json) -> list[Json]:
    parts = resource.get("_embedded") if isinstance(resource, dict) else None
    found: list[Json] = []
    for value in parts.values() if isinstance(parts, dict) else ():
        found += value if isinstance(value, list) else [value]
    return found


def _path(url: str) -> str:
    return urlsplit(url).path
