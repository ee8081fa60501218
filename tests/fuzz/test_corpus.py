"""What the fuzzer found worth to keep goes through every target again. `make fuzz` looks for more."""

from __future__ import annotations

from pathlib import Path

import pytest

from differential.messages import Request
from fuzz.answering import Broken, Given, check_answer, meant, read
from fuzz.targets import TARGETS, Action, Refused, Taken, check

HERE = Path(__file__).parent
INPUTS = {
    target: sorted((HERE / ("answers" if target == "answers" else "corpus")).iterdir()) for target in TARGETS
}


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_is_small_and_there(target: str) -> None:
    assert len(INPUTS[target]) > 50
    assert sum(path.stat().st_size for path in INPUTS[target]) < 1 << 19


@pytest.mark.parametrize("target", TARGETS)
def test_corpus(target: str) -> None:
    for path in INPUTS[target]:
        TARGETS[target](path.read_bytes())


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


def test_another_request_than_was_meant_is_noticed() -> None:
    class Another:
        def feed(self, data: bytes) -> list[Action]:
            return [Taken(Request(b"GET", b"/b", [(b"Host", b"a")]))]

    with pytest.raises(Broken, match="meant was"):
        check(Another, b"\0GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    check(Another, b"\0GET /b HTTP/1.1\r\nHost: a\r\n\r\n")


def test_both_readings_of_an_answer_see_one() -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n"
    given = Given(200, [(b"Transfer-Encoding", b"chunked")], b"ok", [(b"X", b"y")])
    assert read([answer], 0) == meant(answer, 0) == given
    assert read([answer[:-1]], 0) is meant(answer[:-1], 0) is None
    check_answer(b"\1\0" + answer)


@pytest.mark.parametrize("status", [103, 199])
def test_an_interim_answer_has_no_body(status: int) -> None:
    """Found by fuzzing: what stood there became the beginning of the final answer's body."""
    interim = b"HTTP/1.1 %d OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" % status
    final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    assert read([interim + final], 0) is read([interim, final], 0) is None


def test_an_upgrade_behind_an_answer_does_not_spoil_that() -> None:
    """Found by fuzzing: in one piece with it, the answer was refused."""
    upgrade = b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    answer = b"HTTP/1.1 304 Not Modified\r\n\r\n"
    assert read([answer + upgrade], 0) == read([answer, upgrade], 0) == Given(304, [], b"", [])
