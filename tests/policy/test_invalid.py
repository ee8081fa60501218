"""A file for each mistake, which begins with the exact lines that `lyncgate check` must say about it.

`UPDATE_GOLDEN=1 pytest tests/policy` writes these lines anew: read the diff before you commit it.
"""

from __future__ import annotations

import os
import pathlib

import pytest

from lyncgate.policy.load import Loaded, load
from lyncgate.policy.problem import Severity
from policy import pki

FILES = sorted((pathlib.Path(__file__).parent / "invalid").glob("*.yaml"))
EXPECT = "# expect: "


def loaded(path: pathlib.Path, text: str) -> Loaded:
    return load(text, filename=path.name, read=pki.read, now=pki.NOW, anchors=None)


def split(text: str) -> tuple[list[str], str]:
    lines = text.splitlines(keepends=True)
    expected = [line for line in lines if line.startswith(EXPECT)]
    return [line.removeprefix(EXPECT).rstrip("\n") for line in expected], "".join(lines[len(expected) :])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_exact_messages(path: pathlib.Path) -> None:
    expected, body = split(path.read_text())
    if os.environ.get("UPDATE_GOLDEN"):
        # The lines written on top move everything down, so they are loaded with as many lines on top.
        above = len(loaded(path, body).problems)
        expected = [str(problem) for problem in loaded(path, "#\n" * above + body).problems]
        path.write_text("".join(f"{EXPECT}{line}\n" for line in expected) + body)
    outcome = loaded(path, path.read_text())
    assert [str(problem) for problem in outcome.problems] == expected
    assert expected, "a file in invalid/ has something wrong with it"
    errors = [problem for problem in outcome.problems if problem.severity is Severity.ERROR]
    assert (outcome.policy is None) == bool(errors)


def test_there_are_at_least_thirty() -> None:
    assert len(FILES) >= 30
