"""Cross-checks against what decide() does: a publication called unreachable must be so, and no other."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from lyncgate.policy.checks import check_reach, check_users
from lyncgate.policy.compile import compile_rules
from lyncgate.policy.decide import decide
from lyncgate.policy.model import Rules
from lyncgate.policy.policy import Scheme
from lyncgate.policy.problem import Problem, Report
from lyncgate.policy.request import Request

HOSTS = ("a.example", "b.example", "*.example", "x.b.example", "*.b.example")
PATHS = ("/*", "/abs", "/abs/deep/*", "/ABS", "/meet")
ASKED_HOSTS = ("a.example", "b.example", "c.example", "x.b.example", "y.b.example")
ASKED_PATHS = ("/", "/abs", "/abs/deep/x", "/abs/other", "/meet", "/elsewhere")

PUBLICATION = st.fixed_dictionaries(
    {
        "hosts": st.lists(st.sampled_from(HOSTS), min_size=1, max_size=3, unique=True),
        "paths": st.lists(st.sampled_from(PATHS), min_size=1, max_size=3, unique=True),
    }
)


def problems(rules: Rules, check: object) -> list[Problem]:
    report = Report("rules.yaml", {}, {})
    check(rules, report)  # type: ignore[operator]  # a check of load.CHECKS
    return report.problems


@given(st.lists(PUBLICATION, min_size=1, max_size=4))
def test_unreachable_is_what_no_request_reaches(publications: list[dict[str, list[str]]]) -> None:
    rules = Rules.model_validate(
        {
            "version": 1,
            "listeners": {"http": {"bind": ["127.0.0.1:80"], "protocol": "http"}},
            "pools": {"pool01": {"members": ["fe01"]}},
            "publications": [{"name": f"p{n}", "pool": "pool01", **p} for n, p in enumerate(publications)],
        }
    )
    policy = compile_rules(rules, version="", directory="", certificates={})
    reached = {
        decide(policy, Request("http", Scheme.HTTP, b"GET", host.encode(), path.encode())).publication
        for host in ASKED_HOSTS
        for path in ASKED_PATHS
    }
    said = {p.key for p in problems(rules, check_reach) if p.severity == "error"}
    for number in range(len(publications)):
        if f"publications[{number}]" in said:
            assert f"p{number}" not in reached


def users(*matches: str) -> list[str]:
    rules = Rules.model_validate(
        {
            "version": 1,
            "lync": {"users": [{"match": m, "web_services": "a.example", "pool": "pool01"} for m in matches]},
        }
    )
    return [problem.key for problem in problems(rules, check_users)]


@given(
    st.text("ab*", min_size=1, max_size=5), st.text("ab*", min_size=1, max_size=5), st.text("ab", max_size=6)
)
def test_a_user_rule_called_shadowed_never_decides(wide: str, narrow: str, middle: str) -> None:
    wide, narrow = f"{wide}@c.example", f"{narrow}@c.example"
    if not users(wide, narrow):
        return
    address = narrow.replace("*", middle)  # an address that the second rule fits
    assert re.fullmatch(".*".join(map(re.escape, wide.split("*"))), address)


def test_shadowed_users_are_found() -> None:
    assert users("*", "a@b.example") == ["lync.users[1].match"]
    assert users("*@b.example", "A*@B.example") == ["lync.users[1].match"]
    assert users("a*@b.example", "*@b.example") == []
    assert users("a@b.example", "b@b.example", "*@c.example") == []


def test_many_stars_take_no_time() -> None:
    assert users("*a" * 5000 + "@b.example", "a" * 20000 + "*@b.example") == []
