"""A file for each mistake in a scenario, which begins with the exact lines that are said about it.

`UPDATE_GOLDEN=1 pytest tests/lab/scenario` writes these lines anew: read the diff before you commit it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lyncgate.lab.scenario.load import load_scenario
from policy.test_invalid import EXPECT, split

FILES = sorted((Path(__file__).parent / "invalid").glob("*.yaml"))


def said(path: Path, text: str) -> list[str]:
    scenario, problems = load_scenario(text, path.name)
    assert (scenario is None) == bool(problems), "nothing here is a mere warning"
    return [str(problem) for problem in problems]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_exact_messages(path: Path) -> None:
    expected, body = split(path.read_text())
    if os.environ.get("UPDATE_GOLDEN"):
        # The lines written on top move everything down, so they are loaded with as many lines on top.
        above = len(said(path, body))
        expected = said(path, "#\n" * above + body)
        path.write_text("".join(f"{EXPECT}{line}\n" for line in expected) + body)
    assert said(path, path.read_text()) == expected
    assert expected, "a file in invalid/ has something wrong with it"


def test_there_is_one_for_each_mistake_that_can_be_made() -> None:
    assert len(FILES) >= 25
