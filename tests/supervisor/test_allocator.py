"""What serves has the allocator under which its memory stays as it is."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from support.crew import crew, member


def allocator(pid: int) -> str | None:
    """What a process was begun with."""
    environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    found = [entry.partition(b"=")[2] for entry in environment if entry.startswith(b"PYTHONMALLOC=")]
    return found[0].decode() if found else None


@pytest.mark.parametrize("chosen", [None, "pymalloc"])
def test_mimalloc_where_python_has_it_and_nobody_has_chosen_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: str | None
) -> None:
    monkeypatch.delenv("PYTHONMALLOC", raising=False)
    if chosen:
        monkeypatch.setenv("PYTHONMALLOC", chosen)
    has_it = sysconfig.get_config_var("WITH_MIMALLOC")
    with member() as origin, crew(tmp_path, origin, workers=1) as edge:
        assert edge.ask("/") == (200, b"/")
        (worker,) = edge.workers().values()
        for pid in (edge.process.popen.pid, worker):  # the same process that was started
            assert allocator(pid) == (chosen or ("mimalloc" if has_it else None))
