"""What serves has the allocators under which its memory stays as it is, and TLS costs least."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from lyncgate.cli.allocator import GLIBC, PYTHON
from support.crew import crew, member

OURS = dict(
    [
        *([PYTHON] if sysconfig.get_config_var("WITH_MIMALLOC") else []),
        *([GLIBC] if platform.libc_ver()[0] == "glibc" else []),
    ]
)


def begun_with(pid: int) -> dict[str, str]:
    """The environment of a process, in which glibc ends a variable of its own after each word of it."""
    entries = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return {name: value for name, _, value in (entry.partition("=") for entry in entries)}


@pytest.mark.parametrize(
    "chosen",
    [{}, {"PYTHONMALLOC": "pymalloc"}, {"GLIBC_TUNABLES": "glibc.malloc.arena_max=2"}],
    ids=["none", "python's", "glibc's"],
)
def test_ours_where_they_are_to_be_had_and_nobody_has_chosen_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: dict[str, str]
) -> None:
    for name, _ in (PYTHON, GLIBC):
        monkeypatch.delenv(name, raising=False)
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    with member() as origin, crew(tmp_path, origin, workers=1) as edge:
        assert edge.ask("/") == (200, b"/")
        (worker,) = edge.workers().values()
        for pid in (edge.process.popen.pid, worker):  # the same process that was started
            found = begun_with(pid)
            for name, wanted in {**OURS, **chosen}.items():
                assert found[name] in (wanted, wanted.partition(":")[0])
            assert not ({PYTHON[0], GLIBC[0]} - OURS.keys() - chosen.keys()) & found.keys()


@pytest.mark.parametrize(
    "chosen", [{}, {"GLIBC_TUNABLES": "glibc.malloc.arena_max=2"}], ids=["none", "others"]
)
def test_once_it_has_begun_anew_it_goes_on_and_hands_them_down_whole(chosen: dict[str, str]) -> None:
    """As to the program that an upgrade puts in its place."""
    code = (
        "import os; from lyncgate.cli.allocator import choose_allocators; choose_allocators();"
        "print(os.getpid(), os.environ.get('PYTHONMALLOC'), os.environ.get('GLIBC_TUNABLES'))"
    )
    environment = {k: v for k, v in os.environ.items() if k not in (PYTHON[0], GLIBC[0])}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment | chosen, stdout=subprocess.PIPE, text=True
    ) as process:
        said, _ = process.communicate(timeout=30)
    found = {**OURS, **chosen}
    assert said.split() == [str(process.pid), str(found.get(PYTHON[0])), str(found.get(GLIBC[0]))]
