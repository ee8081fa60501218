"""What the fuzzer found worth to keep goes through every target again. `make fuzz` looks for more."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.targets import TARGETS, Action, Broken, Refused, Taken, check

CORPUS = Path(__file__).parent / "corpus"
INPUTS = sorted(CORPUS.iterdir())


def test_the_corpus_is_small_and_there() -> None:
    assert len(INPUTS) > 50
    assert sum(path.stat().st_size for path in INPUTS) < 1 << 20


@pytest.mark.parametrize("target", TARGETS)
def test_corpus(target: str) -> None:
    for path in INPUTS:
        check(TARGETS[target], path.read_bytes())


def test_what_does_not_hold_is_noticed() -> None:
    class TakesAll:
        def feed(self, data: bytes) -> list[Action]:
            return [Taken()]

    class ByPieces:
        def feed(self, data: bytes) -> list[Action]:
            return [Refused("short")] if len(data) < 3 else [Taken()]

    with pytest.raises(Broken, match="1 requests taken, of 0"):
        check(TakesAll, b"\0GET / HTTP/9\r\n\r\n")
    with pytest.raises(Broken, match="in pieces"):
        check(ByPieces, b"\2GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    check(TakesAll, b"\0GET / HTTP/1.1\r\nHost: a\r\n\r\n")
