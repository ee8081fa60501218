"""Golden files: rules, a line `--- # effective`, and the same with every default filled in.

`UPDATE_GOLDEN=1 pytest tests/policy` writes the second part anew: read the diff before you commit it.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib

import pytest

from lyncgate.policy.effective import effective
from lyncgate.policy.load import Loaded, load
from policy import pki

FILES = sorted((pathlib.Path(__file__).parent / "golden" / "effective").glob("*.yaml"))
BORDER = "--- # effective\n"


def loaded(text: str) -> Loaded:
    outcome = load(text, filename="rules.yaml", read=pki.read, now=pki.NOW, anchors=None)
    assert outcome.policy, outcome.problems
    return outcome


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_defaults_are_filled_in(path: pathlib.Path) -> None:
    written, _, expected = path.read_text().partition(BORDER)
    outcome = loaded(written)
    assert outcome.rules
    got = effective(outcome.rules)
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(written + BORDER + got)
        expected = got
    assert got == expected
    # It is a rules.yaml itself, and means the same.
    again = loaded(got)
    assert outcome.policy
    assert again.policy
    assert dataclasses.replace(again.policy, version="") == dataclasses.replace(outcome.policy, version="")
    assert again.rules
    assert effective(again.rules) == got
