"""`deploy/native.py`: what is compiled is the same, and a machine that can't is told why."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.processes import ROOT
from support.requirements import requires

SCRIPT = ROOT / "deploy" / "native.py"
FEW = {"edge": "heads", "policy": "hosts"}  # all of them take more than a minute
ASKED = """
from lyncgate.edge import course, heads
from lyncgate.policy import hosts
print(heads.__file__, hosts.__file__, course.__file__)
print(heads.origin_form(b"GET", b"http://a.example/b?c", b"a.example"), hosts.parse(b"A.Example:443"))
"""


def asked(package: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", ASKED],
        env={**os.environ, "PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@requires("gcc", "gcc")
@pytest.mark.timeout(240)
def test_what_is_compiled_says_the_same(tmp_path: Path) -> None:
    script = f"import native, pathlib, sys; native.HOT = {FEW}; native.main(pathlib.Path(sys.argv[1]))"
    made = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(SCRIPT.parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert made.returncode == 0, made.stderr
    files, said = asked(tmp_path)
    heads, hosts, course = files.split()
    assert (Path(heads).suffix, Path(hosts).suffix, Path(course).suffix) == (".so", ".so", ".py")
    assert {Path(file).is_relative_to(tmp_path) for file in (heads, hosts, course)} == {True}
    assert said == asked(ROOT / "addons")[1]
    assert sorted(path.name.split(".")[0] for path in tmp_path.iterdir()) == ["lyncgate", "lyncgate__mypyc"]


def test_without_a_compiler_it_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path)],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "there is no C compiler" in done.stderr
    assert list(tmp_path.iterdir()) == []
