"""YAML text → data with places: what is read, what is refused, and that nothing else can happen."""

from __future__ import annotations

import string
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.policy import source
from lyncgate.policy.problem import Mark
from lyncgate.policy.source import SourceError, parse


def test_values_and_keys_know_their_place() -> None:
    document = parse("pools:\n  pool01:\n    members: [fe01, fe02]\n")
    assert document.data == {"pools": {"pool01": {"members": ["fe01", "fe02"]}}}
    assert document.values["pools", "pool01", "members", 1] == Mark(3, 21)
    assert document.keys["pools", "pool01", "members"] == Mark(3, 5)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((word, word) for word in ("off", "no", "yes", "on", "12:30:45", "2026-01-01", "<", "=")),
        *((word, word) for word in ("0o17", "0x1f", "010", "1_000", ".inf", "1e3", "9" * 30)),
        *(("5061", 5061), ("-1", -1), ("1.5", 1.5), ("~", None), ("null", None), ("True", True)),
        *(('"5061"', "5061"), ("'null'", "null"), ('""', "")),
    ],
)
def test_words_are_those_of_yaml_1_2(text: str, value: object) -> None:
    assert parse(f"key: {text}").data == {"key": value}


def test_an_alias_stands_where_its_anchor_is() -> None:
    document = parse("a: &x [1]\nb: *x\n")
    assert document.data == {"a": [1], "b": [1]}
    assert document.values["b", 0] == Mark(1, 8)


def test_the_first_of_two_equal_keys_is_kept_and_the_second_told() -> None:
    document = parse("a: 1\nb: {c: 2, c: 3}\na: 4\n")
    assert document.data == {"a": 1, "b": {"c": 2}}
    assert document.duplicates == ((Mark(3, 1), ("a",)), (Mark(2, 11), ("b", "c")))


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a" * (source.MAX_TEXT + 1), Mark(1, 1), "allowed: at most 262144"),
        ("[" * 30, Mark(1, 26), "nested over 24 deep"),
        ("".join(f"k{i}: &a{i} x\n" for i in range(101)), Mark(101, 7), "over 100 anchors"),
        ("a: &x 1\nb: &x 2\n", Mark(2, 4), "the anchor &x twice"),
        ("a: b\x07c\n", Mark(1, 5), "U+0007"),
        ('a: "\\UFFFFFFFF"', Mark(1, 7), "not YAML"),
        ("%YAML 2.0\n---\na: 1\n", Mark(1, 1), "version 1.* is required"),
        ("a: !custom 1", Mark(1, 4), 'the tag "!custom"'),
    ],
)
def test_refused(text: str, place: Mark, words: str) -> None:
    with pytest.raises(SourceError) as caught:
        parse(text)
    assert words in caught.value.message
    assert caught.value.mark == place


def test_many_aliases_of_much_are_counted_before_they_are_made() -> None:
    text = "a: &a [" + "x, " * 1000 + "x]\n" + "b: [" + "*a, " * 100 + "*a]\n"
    with pytest.raises(SourceError, match="over 50000 values"):
        parse(text)


@given(st.text() | st.text(alphabet="[]{}:,-&*!|>'\"%@`#?ab \n\t\\"))
def test_any_text_is_data_or_an_error_with_a_place(text: str) -> None:
    try:
        document = parse(text)
    except SourceError as error:
        place, said = error.mark, error.message
    else:
        place, said = document.values[()], "data"
    assert place >= Mark(1, 1)
    assert said


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(string.printable.strip(), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(PLAIN)
def test_what_pyyaml_writes_is_read_back(data: Any) -> None:
    # PyYAML quotes what YAML 1.1 or 1.2 would take for something else than text.
    assert parse(yaml.safe_dump(data)).data == data
