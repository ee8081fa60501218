"""Is diagnosis right? A part of `make accuracy`: some faults, of each vantage and some that look alike, each
met once, and healthy sign-ins of all phones, which have no findings. The whole is docs/accuracy.md."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from lyncgate.lab.faults.catalogue import CATALOGUE
from support.processes import ROOT

SOME = ("F03", "F16", "F21", "F32", "F34", "F47")
PAGE = ROOT / "docs" / "accuracy.md"


@pytest.mark.timeout(180)  # a process for each fault, and other tests beside
def test_the_right_code_comes_first_and_healthy_sign_ins_have_none() -> None:
    done = subprocess.run(
        [
            *(sys.executable, str(ROOT / "bench" / "accuracy"), "--only", ",".join(SOME)),
            *("--runs", "1", "--healthy", "10", "--jobs", "2", "--json", "-"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert {code: runs[0]["codes"][0][0] for code, runs in told["faults"].items()} == {c: c for c in SOME}
    assert told["misjudged_beside"] == 0
    assert told["healthy"]["findings"] == []
    assert set(told["healthy"]["got_in"]) == {"wp75", "android2010", "lync2013", "desktop"}
    assert told["healthy"]["stitched"] == told["healthy"]["begun"] >= 10
    assert told["healthy"]["of_nobody"] == 0


def test_the_page_has_every_fault_and_reaches_the_goal() -> None:
    page = PAGE.read_text()
    assert re.findall(r"^\| (F\d\d) \|", page, re.MULTILINE) == list(CATALOGUE)
    share = re.search(r"first in \*\*(\d+) of (\d+) runs\*\*", page)
    assert share
    assert int(share[1]) / int(share[2]) >= 0.95
    healthy = re.search(r"Of (\d+) healthy sign-ins.*, (\d+) got in .*\*\*(\d+) findings\*\*", page)
    assert healthy
    assert int(healthy[1]) >= int(healthy[2]) >= 500
    assert healthy[3] == "0"
    assert "unexplained (" not in page
