from __future__ import annotations

import json

import pytest
from hypothesis import given

from lyncgate.policy.decide import decide
from lyncgate.policy.decision import Forward
from lyncgate.policy.explain import explain, render, to_json
from lyncgate.policy.policy import Scheme
from lyncgate.policy.request import Request
from policy.estate import POLICY
from policy.test_decide import requests


def ask(url: str, method: str = "GET", source: str = "192.0.2.1", user: str | None = None) -> Request:
    scheme, _, rest = url.partition("://")
    host, slash, target = rest.partition("/")
    return Request(
        scheme, Scheme(scheme), method.encode(), host.encode(), (slash + target).encode(), source, user
    )


@given(requests())
def test_it_says_what_decide_says_and_names_the_deciding_rule(request_: Request) -> None:
    explanation = explain(POLICY, request_)
    assert explanation.decision == decide(POLICY, request_)
    assert explanation.steps[-1].rule == explanation.decision.rule
    assert explanation.steps[-1].matched
    assert (explanation.upstream is not None) == isinstance(explanation.decision, Forward)
    assert f"  by {explanation.decision.rule}\n" in render(explanation)
    json.dumps(to_json(explanation))


def test_every_rule_before_the_deciding_one_is_there_with_its_reason() -> None:
    explanation = explain(POLICY, ask("https://lyncweb-emea.contoso.example/ucwa/v1"))
    assert [(step.rule, step.matched) for step in explanation.steps] == [
        ("lyncdiscover", False),
        ('publication "scheduler"', False),
        ('publication "web services"', False),
        ('publication "emea"', True),
    ]
    assert explanation.steps[2].why == "host lyncweb-emea.contoso.example is not lyncweb.contoso.example"


@pytest.mark.parametrize(
    ("request_", "rule", "why"),
    [
        (
            ask("https://lyncweb-emea.contoso.example/abs"),
            'publication "emea"',
            "path /abs is not under /autodiscover/autodiscoverservice.svc or /ucwa or /webticket",
        ),
        (
            ask("https://lyncweb.contoso.example/scheduler"),
            'publication "scheduler"',
            "client 192.0.2.1 is not in 10.0.0.0/8 or 2001:db8::/32",
        ),
        (
            ask("https://lyncweb.contoso.example/scheduler", "PUT", "10.0.0.1"),
            'publication "scheduler"',
            "method is not GET or POST",
        ),
        (
            ask("https://lyncweb.contoso.example/x/../cscp"),
            'publication "web services"',
            "path /cscp is excluded",
        ),
        (
            ask("https://lyncweb.contoso.example/scheduler;x"),
            'publication "scheduler"',
            "path can be read as /scheduler but also as /scheduler;x",
        ),
        (
            ask("https://lyncweb-vip.contoso.example/"),
            'publication "vip"',
            "pool pool03 has no https",
        ),
        (
            ask("https://lyncdiscover.contoso.example/x"),
            "lyncdiscover contoso.example (https)",
            "path is neither / nor under /autodiscover",
        ),
        (
            ask("https://lyncdiscover.contoso.example/?sipuri=alice@contoso.example"),
            'user "*@emea.contoso.example"',
            "alice@contoso.example does not fit",
        ),
        (
            ask("https://lyncdiscover.contoso.example/"),
            'user "ceo@contoso.example"',
            "an unnamed user does not fit",
        ),
        (
            ask("https://lyncdiscover.contoso.example/", user="sip:Bob@EMEA.contoso.example"),
            'user "*@emea.contoso.example"',
            "bob@emea.contoso.example fits",
        ),
        (ask("https://nowhere.example/"), "default", "nothing published matches"),
        (ask("https://nowhere.example/%"), "request", "refused: ambiguous path"),
        (
            ask("http://meet.contoso.example/"),
            "listener http redirect",
            "published, so redirected to HTTPS with 307",
        ),
    ],
)
def test_why(request_: Request, rule: str, why: str) -> None:
    assert [step.why for step in explain(POLICY, request_).steps if step.rule == rule] == [why]


def test_render_of_a_forward() -> None:
    request = ask(
        "https://LyncDiscover.contoso.example:443/?sipuri=Alice@contoso.example", source="203.0.113.9"
    )
    assert render(explain(POLICY, request)) == (
        "GET https://lyncdiscover.contoso.example/?sipuri=Alice@contoso.example\n"
        "  from 203.0.113.9 on listener https for alice@contoso.example\n"
        "\n"
        "rules tried\n"
        '  - user "ceo@contoso.example": alice@contoso.example does not fit\n'
        '  - user "*@emea.contoso.example": alice@contoso.example does not fit\n'
        "  + lyncdiscover contoso.example (https): forward for lyncweb.contoso.example, pool pool01\n"
        "\n"
        "decision\n"
        "  forward to pool01, https port 4443\n"
        "  by lyncdiscover contoso.example (https)\n"
        "\n"
        "sent to one of fe01, https port 4443\n"
        "  GET /Autodiscover/AutodiscoverService.svc/root?sipuri=Alice@contoso.example\n"
        "  Host: LyncDiscover.contoso.example:443\n"
        "  X-Forwarded-For: 203.0.113.9\n"
        "  X-Forwarded-Proto: https\n"
        "  X-Forwarded-Host: lyncdiscover.contoso.example\n"
    )


@pytest.mark.parametrize(
    ("request_", "decision"),
    [
        (ask("http://meet.contoso.example/a"), "redirect with 307 to https://meet.contoso.example/a"),
        (ask("https://lyncweb.contoso.example/cscp"), "deny with 404, excluded_path"),
        (
            ask("http://lyncdiscover.contoso.example/"),
            "answer with Redirect https://lyncweb.contoso.example/Autodiscover/AutodiscoverService.svc/root",
        ),
    ],
)
def test_render_of_the_others(request_: Request, decision: str) -> None:
    text = render(explain(POLICY, request_))
    assert f"\ndecision\n  {decision}\n" in text
    assert "sent to" not in text


def test_render_shows_other_readings_and_odd_bytes_safely() -> None:
    request = Request("https", Scheme.HTTPS, b"G\x1bT", b"meet.contoso.example", b"/a;b?\x9b")
    text = render(explain(POLICY, request))
    assert "  can be read as /a\n  can be read as /a;b\n" in text
    assert "G\\x1bT /a;b?\\x9b\n" in text
    assert "\x1b" not in text
    assert "\x9b" not in text


def test_to_json() -> None:
    document = to_json(explain(POLICY, ask("https://meet.contoso.example/a?b")))
    assert document["decision"] == {
        "action": "forward",
        "rule": 'publication "simple urls"',
        "publication": "simple urls",
        "pool": "pool01",
        "scheme": "https",
        "port": 4443,
        "target": "/a?b",
        "body_limit": None,
    }
    assert document["upstream"]["fields"][0] == ("Host", "meet.contoso.example")
    assert document["steps"][0].keys() == {"rule", "matched", "why"}
