"""The golden table: request → decision. Golden rows are read, not written: edit the YAML by hand."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest
import yaml

from lyncgate.policy.decide import decide
from lyncgate.policy.decision import Answer, Decision, Deny, Forward, Redirect
from lyncgate.policy.policy import Scheme
from lyncgate.policy.request import Request
from policy.estate import POLICY

ROWS = yaml.safe_load((pathlib.Path(__file__).parent / "golden" / "decisions.yaml").read_text())


def request_of(row: dict[str, Any]) -> Request:
    method, url = row["ask"].split(" ", 1)
    scheme, rest = url.split("://", 1)
    slash = rest.index("/")
    host, target = row.get("host", rest[:slash]), row.get("target", rest[slash:])
    return Request(
        listener=row.get("listener", scheme),
        scheme=Scheme(scheme),
        method=method.encode("latin-1"),
        host=host.encode("latin-1"),
        target=target.encode("latin-1"),
        source=row.get("from", "192.0.2.1"),
        user=row.get("user"),
    )


def in_words(request: Request, decision: Decision) -> str:
    match decision:
        case Forward():
            words = ["forward", decision.pool, decision.scheme, str(decision.port)]
            return " ".join(words + [decision.target.decode("latin-1")] * (decision.target != request.target))
        case Redirect():
            return f"redirect {decision.status} {decision.location}"
        case Answer():
            return " ".join(["answer", *(word for link in decision.links for word in link)])
        case Deny():
            return f"deny {decision.status} {decision.reason}"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["ask"])
def test_decision(row: dict[str, Any]) -> None:
    request = request_of(row)
    decision = decide(POLICY, request)
    assert (in_words(request, decision), decision.rule) == (row["expect"], row["rule"])


def test_url_limit_is_the_policys() -> None:
    at_limit = b"/" + b"a" * (POLICY.limits.url - 1)
    ask = {"ask": "GET https://meet.contoso.example/"}
    fits = decide(POLICY, request_of(ask | {"target": at_limit.decode()}))
    too_long = decide(POLICY, request_of(ask | {"target": at_limit.decode() + "a"}))
    assert isinstance(fits, Forward)
    assert in_words(request_of(ask), too_long) == "deny 414 url_too_long"


def test_label_and_body_limit_come_from_the_publication() -> None:
    emea = decide(POLICY, request_of({"ask": "POST https://lyncweb-emea.contoso.example/ucwa"}))
    assert isinstance(emea, Forward)
    assert (emea.publication, emea.body_limit) == ("emea", 1024 * 1024)
    labels = {
        "GET https://lyncdiscover.contoso.example/": "lyncdiscover",
        "PUT https://lyncdiscover.contoso.example/": "lyncdiscover",
        "GET http://meet.contoso.example/": "redirect",
        "GET https://lyncweb.contoso.example/cscp": "web services",
        "GET https://nowhere.example/": "_none",
        "GET https://meet.contoso.example/%zz": "_none",
    }
    assert {ask: decide(POLICY, request_of({"ask": ask})).publication for ask in labels} == labels
