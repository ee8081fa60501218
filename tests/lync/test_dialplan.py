"""Dial plans: rules as .NET has them, applied to what people dial, and their way over the wire."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.lync.dialplan import (
    LONGEST_NUMBER,
    DialPlan,
    DialPlanError,
    Normalised,
    Rule,
    compiled,
    document,
    parse,
)

AMSTERDAM = DialPlan(
    "Amsterdam",
    (
        Rule(r"^(\d{4})$", "+3120555$1", internal=True),
        Rule(r"^00(\d+)$", "+$1"),
        Rule(r"^0([1-9]\d{8})$", "+31$1", device_dialing=True),
    ),
    "0",
    optimize_device_dialing=True,
)


@pytest.mark.parametrize(
    ("dialled", "number", "rule"),
    [
        ("0101", "+31205550101", 0),
        ("0044 20 7946 0000", "+442079460000", 1),
        ("020 555 0101", "+31205550101", 2),
        ("(020) 555-01.01", "+31205550101", 2),
        ("020/5550101", "+31205550101", 2),
        ("020\u00a05550101\n", "+31205550101", 2),
        ("+31 20 555 0101", "+31205550101", None),  # with a + it is a number already
        ("112", "112", None),
        ("", "", None),
    ],
)
def test_what_is_dialled_becomes_a_number(dialled: str, number: str, rule: int | None) -> None:
    expected = None if rule is None else AMSTERDAM.rules[rule]
    assert AMSTERDAM.normalise(dialled) == Normalised(number, expected)


def test_the_first_rule_that_matches_is_applied() -> None:
    plan = DialPlan("p", (Rule("^1", "a"), Rule("^1$", "b")))
    assert plan.normalise("1").number == "a"


@pytest.mark.parametrize(
    ("pattern", "translation", "number"),
    [
        (r"^(\d)(\d+)$", "$2$1", "2341"),
        (r"^(?<first>\d)(?<rest>\d+)$", "${rest}-${first}", "234-1"),
        (r"^(?'first'\d)\d+$", "${first}", "1"),
        (r"^(\d+)$", "${1}0", "12340"),
        (r"^(\d+)$", "$$$1", "$1234"),
        (r"^(\d+)$", "[$&]", "[1234]"),
        (r"^(\d+)$", "$10", "$10"),  # there is no group 10, so the text stands for itself
        (r"^(\d+)$", "${no}", "${no}"),
        (r"^(\d+)$", "$x$", "$x$"),
        (r"^(9)?(\d+)$", "<$1>$2", "<>1234"),  # a group that took no part is empty
        (r"23", "[$`|$'|$_]", "1[1|4|1234]4"),  # text around an unanchored match stays
        (r"(1)(2)", "$+", "234"),
        (r"^\d+\z", "z", "z"),
        (r"^\d+\Z", "Z", "Z"),
        (r"^(?<d>1)\d+(?<!3)$", "lookbehind", "lookbehind"),
        (r"^(?<d>1)\k<d>", "twice", None),
        (r"^5", "other", None),
    ],
)
def test_regular_expressions_and_replacements_as_in_dot_net(
    pattern: str, translation: str, number: str | None
) -> None:
    assert Rule(pattern, translation).apply("1234") == number


@pytest.mark.parametrize("pattern", ["(", "[", "*", r"(?<a>1)(?<a>2)", r"\k<none>", "a{2,1}"])
def test_a_bad_pattern_is_told(pattern: str) -> None:
    with pytest.raises(DialPlanError, match="is no regular expression"):
        compiled(pattern)
    with pytest.raises(DialPlanError):
        parse(document(DialPlan("p", (Rule(pattern, "$1"),))))


@given(st.text(max_size=200))
def test_anything_can_be_dialled(dialled: str) -> None:
    """A number has no decoration and a bounded length, and what a plan makes of it is not dialled again:
    a result with + stays as it is."""
    outcome = AMSTERDAM.normalise(dialled)
    if outcome.rule is None:
        assert len(outcome.number) <= LONGEST_NUMBER
        assert not set(outcome.number) & set(" -.()/\t\r\n")
    else:
        assert re.fullmatch(r"\+\d+", outcome.number)
        assert AMSTERDAM.normalise(outcome.number) == Normalised(outcome.number, None)


@given(st.text(max_size=30))
def test_any_translation_can_be_applied(translation: str) -> None:
    result = Rule(r"^(\d)(?<rest>\d*)$", translation).apply("1234")
    assert result is not None
    if "$" not in translation:
        assert result == translation


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=20)


@given(
    st.builds(
        DialPlan,
        name=TEXT,
        rules=st.lists(
            st.builds(Rule, TEXT.map(re.escape), TEXT, st.booleans(), st.booleans()), max_size=4
        ).map(tuple),
        external_access_prefix=TEXT,
        optimize_device_dialing=st.booleans(),
    )
)
def test_a_plan_comes_over_the_wire_as_it_was(plan: DialPlan) -> None:
    assert parse(document(plan)) == plan


def test_element_names_are_those_of_ms_sipre() -> None:
    assert (
        document(AMSTERDAM)
        .decode()
        .replace("\n", "")
        .startswith(
            "<?xml version='1.0' encoding='utf-8'?>"
            '<LocationProfileDescription xmlns="http://schemas.microsoft.com/2007/03/LocationProfileDescription">'
            r"<Name>Amsterdam</Name><Rule><Pattern>^(\d{4})$</Pattern><Translation>+3120555$1</Translation>"
            "<InternalEnterpriseExtension>true</InternalEnterpriseExtension>"
            "<ApplicableForDeviceDialing>false</ApplicableForDeviceDialing></Rule>"
        )
    )


def test_optional_elements_and_qualified_names() -> None:
    body = b"""<l:LocationProfileDescription xmlns:l="http://schemas.microsoft.com/2007/03/LocationProfileDescription">
      <l:Name>p</l:Name><Rule><Pattern>1</Pattern><Translation>2</Translation></Rule>
    </l:LocationProfileDescription>"""
    assert parse(body) == DialPlan("p", (Rule("1", "2"),))


@pytest.mark.parametrize(
    "body",
    [
        b"no xml",
        b"<other/>",
        b"<LocationProfileDescription><Rule><Pattern>1</Pattern></Rule></LocationProfileDescription>",
    ],
)
def test_what_is_no_dial_plan(body: bytes) -> None:
    with pytest.raises(DialPlanError):
        parse(body)
