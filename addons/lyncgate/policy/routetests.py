"""Route tests: a request, and the decision it must get.

They stand in rules.yaml under `tests`, or beside it in rules.tests.yaml, and are run whenever the rules
are loaded: rules whose tests fail are not served, so a rule put in the wrong place is found at the desk.

    tests:
      - {url: "https://lyncweb.contoso.example/cscp", expect: {deny: 404, reason: excluded_path}}
      - {url: "http://lyncdiscover.contoso.example/?sipuri=a@contoso.example", expect: {answer: Redirect}}

Only what `expect` names is compared.
"""

from __future__ import annotations

import ipaddress
import urllib.parse
from collections.abc import Sequence

from lyncgate.policy.decide import decide
from lyncgate.policy.decision import Answer, Decision, Deny, Forward, Reason, Redirect
from lyncgate.policy.model import ExpectRules, RouteTest, Rules, TestFile
from lyncgate.policy.policy import Policy, Scheme
from lyncgate.policy.problem import Key, Report, listed, show_value
from lyncgate.policy.request import Request

_OUTCOMES = ("forward", "redirect", "answer", "deny")
# Which of the other keys tell something of which outcome; rule and publication do of every one.
_DETAILS = {"target": "forward", "port": "forward", "status": "redirect", "reason": "deny"}


class RequestError(Exception):
    """A URL or address that no client sends. `part`: "url" or "from"; the message says what is allowed."""

    def __init__(self, part: str, message: str) -> None:
        super().__init__(message)
        self.part = part


def make_request(policy: Policy, url: str, *, method: str, source: str, user: str | None) -> Request:
    """The request that a client makes of `url`, at the first listener of that scheme. Path and query go
    as they are written, for they are what is tested."""
    scheme_text, colon, rest = url.partition("://")
    if not colon or scheme_text.lower() not in (Scheme.HTTP, Scheme.HTTPS):
        raise RequestError("url", f"found {show_value(url)}; allowed: an http:// or https:// URL")
    scheme = Scheme(scheme_text.lower())
    try:
        ipaddress.ip_address(source)
    except ValueError:
        raise RequestError("from", f"found {show_value(source)}; allowed: an IP address") from None
    listener = next((name for name, rule in policy.listeners.items() if rule.scheme is scheme), None)
    if listener is None:
        raise RequestError(
            "url", f"found {scheme}, which no listener speaks; allowed: a scheme that one does"
        )
    end = min((at for mark in "/?#" if (at := rest.find(mark)) >= 0), default=len(rest))
    host, target = rest[:end], rest[end:].partition("#")[0]
    if not target.startswith("/"):
        target = f"/{target}"
    raw = target.encode("utf-8", "replace")
    return Request(
        listener=listener,
        scheme=scheme,
        method=method.encode("utf-8", "replace"),
        host=host.encode("utf-8", "replace"),
        # What is beyond ASCII is escaped, as every client does.
        target=urllib.parse.quote_from_bytes(raw, safe=bytes(range(0x80))).encode(),
        source=source,
        user=user,
    )


def check_expectations(rules: Rules | TestFile, report: Report) -> None:
    """That each `expect` says one outcome, and nothing that only another one has."""
    for index, test in enumerate(rules.tests):
        key: Key = ("tests", index, "expect")
        expect = test.expect
        given = [outcome for outcome in _OUTCOMES if getattr(expect, outcome) is not None]
        if len(given) != 1:
            found = listed(given) if given else "none"
            report.error(key, f"found {found}; allowed: exactly one of {listed(_OUTCOMES)}")
        for detail, outcome in _DETAILS.items():
            if len(given) == 1 and getattr(expect, detail) is not None and outcome not in given:
                report.at_key((*key, detail), f"found with {given[0]}; allowed: with {outcome}")
        if expect.reason is not None and expect.reason not in list(Reason):
            report.error((*key, "reason"), f"found {show_value(expect.reason)}; allowed: {listed(Reason)}")


def run(policy: Policy, tests: Sequence[RouteTest], report: Report) -> None:
    """Every test that fails becomes an error at its place."""
    for index, test in enumerate(tests):
        key: Key = ("tests", index)
        try:
            request = make_request(policy, test.url, method=test.method, source=test.source, user=test.user)
        except RequestError as error:
            report.error((*key, error.part), str(error))
            continue
        decision = decide(policy, request)
        got = _told(decision, test.expect)
        if got is not None:
            expected = test.expect.model_dump(exclude_none=True)
            report.error(key, f"{test.method} {test.url}: expected {_listing(expected)}; got {_listing(got)}")


def _told(decision: Decision, expect: ExpectRules) -> dict[str, object] | None:
    """What was decided, in the words of `expect`; None if it is what was expected."""
    got: dict[str, object] = {}
    match decision:
        case Forward():
            got = {"forward": decision.pool, "target": _text(decision.target), "port": decision.port}
        case Redirect():
            got = {"redirect": decision.location, "status": decision.status}
        case Answer():
            got = {"answer": [token for token, _ in decision.links]}
        case Deny():
            got = {"deny": decision.status, "reason": decision.reason.value}
    got |= {"rule": decision.rule, "publication": decision.publication}
    for key, value in expect.model_dump(exclude_none=True).items():
        if key not in got or (value not in _listed(got[key])):
            return got
    return None


def _listed(value: object) -> list[object]:
    """An Answer has several tokens, any of which may be asked for."""
    return value if isinstance(value, list) else [value]


def _listing(items: dict[str, object]) -> str:
    return ", ".join(f"{key} {_shown(value)}" for key, value in items.items())


def _shown(value: object) -> str:
    return listed(map(str, value)) if isinstance(value, list) else str(value)


def _text(target: bytes) -> str:
    return target.decode("latin-1")
