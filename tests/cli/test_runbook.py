"""docs/runbook is made of the catalogue, and explain-finding says the same in a terminal."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from lyncgate.cli import runbook
from lyncgate.signin.catalogue.catalogue import CATALOGUE
from support.processes import LYNCGATE

RUNBOOK = Path(__file__).parents[2] / "docs" / "runbook"


def explain(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LYNCGATE, "explain-finding", *arguments], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("code", CATALOGUE)
def test_the_page_is_current(code: str) -> None:
    file = RUNBOOK / f"{code}.md"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(runbook.page(code))
    assert file.read_text() == runbook.page(code)


def test_the_index_is_current_and_leads_to_every_page() -> None:
    file = RUNBOOK / "README.md"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(runbook.index())
    assert file.read_text() == runbook.index()
    assert {page.stem for page in RUNBOOK.glob("F*.md")} == set(CATALOGUE)
    assert all(f"({code}.md)" in runbook.index() for code in CATALOGUE)


def test_in_a_terminal() -> None:
    done = explain("f40")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("F40  mobility is off for the user\nstage mobility_policy, grade A")
    assert "Grant-CsMobilityPolicy -Identity 'sip:<user>' -PolicyName 'MobilityOn'" in done.stdout


def test_for_programs() -> None:
    told = json.loads(explain("F20", "--json").stdout)
    assert told["code"] == "F20"
    assert told["explains"] == ["F21", "F22", "F32"]
    assert told["sources"] == [{"grade": "C", "source": "our own runs of SIPE, curl and requests-ntlm"}]


def test_a_code_that_there_is_not() -> None:
    done = explain("F99")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith('code: found "F99"; allowed: F01 to F50; did you mean F')
