"""Choosing faults, and the catalogue for people."""

import json
import os
import re
from pathlib import Path

import pytest

from lyncgate.lab.faults.catalogue import CATALOGUE, UnknownFaultError, choose
from lyncgate.lab.faults.table import as_json, as_text, with_tables

DOCUMENT = Path(__file__).parents[3] / "docs" / "faults.md"


def test_all_fifty_of_the_protocol_reference_are_here_in_order() -> None:
    assert list(CATALOGUE) == [f"F{number:02}" for number in range(1, 51)]


@pytest.mark.parametrize("fault", CATALOGUE.values(), ids=lambda fault: fault.code)
def test_words_fit_a_table(fault) -> None:
    for words in (fault.title, fault.changes, fault.symptom, fault.phone):
        assert words
        assert "\n" not in words
    assert bool(fault.amount) == bool(fault.unit)


def test_codes_are_chosen_with_and_without_amounts() -> None:
    chosen = choose("F20, f37=2.5,F38")
    assert [(fault.code, amount) for fault, amount in chosen] == [("F20", 0.0), ("F37", 2.5), ("F38", 5.0)]
    assert choose("") == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("F99", "there is no fault F99; did you mean F"),
        ("rubbish", "there is no fault RUBBISH"),
        ("F20=3", "F20 has no amount"),
        ("F37=soon", "F37=SOON: give a number of s, more than 0"),
        ("F37=-1", "more than 0"),
        ("F37=nan", "more than 0"),
    ],
)
def test_what_cannot_be_chosen(text: str, why: str) -> None:
    with pytest.raises(UnknownFaultError, match=re.escape(why)):
        choose(text)


def test_the_list_has_everything() -> None:
    text = as_text()
    for fault in json.loads(as_json()):
        for words in (fault["code"], fault["title"], fault["changes"], fault["symptom"], fault["phone"]):
            assert words in text


def test_the_document_is_current() -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        DOCUMENT.write_text(with_tables(DOCUMENT.read_text()))
    document = DOCUMENT.read_text()
    assert document == with_tables(document)
    for code in CATALOGUE:
        assert f"| {code} |" in document
