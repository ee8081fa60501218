"""A sign-in in the terminal: as good as its page, and good enough without colour, Unicode or width."""

from __future__ import annotations

import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from lyncgate.cli.waterfall import Story
from lyncgate.signin.diagnose import diagnose
from lyncgate.signin.events import Event
from lyncgate.signin.stitch import stitch
from lyncgate.signin.waterfall import waterfall
from support.stories import healthy, hostile, no_certificate, no_mobility, wrong_password


def printed(story: list[Event], width: int = 110, *, encoding: str = "utf-8", events: bool = False) -> str:
    (sign_in,) = stitch(story)
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    console = Console(file=file, width=width, highlight=False)
    console.print(Story(waterfall(sign_in, diagnose(sign_in)), events=events))
    file.flush()
    return raw.getvalue().decode(encoding)


def rows(text: str) -> list[tuple[int, str]]:
    """Number and mark of each row."""
    return [
        (int(number), mark) for number, mark in re.findall(r"^ ?(\d+)  ([●✕○·+Xo.]) ", text, re.MULTILINE)
    ]


def test_a_healthy_sign_in() -> None:
    text = printed(healthy())
    assert text.startswith("alice@contoso.example  signed in\n")
    assert rows(text) == [(number, "●") for number in range(1, 15)]
    assert "clock of trace fe01: 2.480 s ahead, corrected" in text
    assert re.search(r"^ 9  ● Ticket, certificate .*█.* 63\.5 ms  edge$", text, re.MULTILINE)
    assert re.search(r"^10  ● Register .* edge, trace fe01$", text, re.MULTILINE)
    assert re.search(r"░.*\n", text)  # the poll that hangs
    assert re.search(r"^╱ 31\.0 s left out after ", text, re.MULTILINE)
    assert "client 198.51.100.23 → listener https: 13 requests" in text


def test_a_failure_with_its_finding() -> None:
    text = printed(wrong_password())
    assert text.startswith("bob@contoso.example  failed at Ticket\n")
    assert rows(text)[8:10] == [(9, "✕"), (10, "·")]
    assert "not reached" in text
    assert re.search(r"^F\d\d  ", text, re.MULTILINE)
    assert re.search(r"^seen  .*\(stage 9\)$", text.replace("\n      ", " "), re.MULTILINE)
    assert re.search(r"^ {8}Get-", text, re.MULTILINE)
    assert re.search(r"^more  lyncgate explain-finding F\d\d$", text, re.MULTILINE)


def test_what_was_not_seen_says_who_would_have() -> None:
    text = printed(no_mobility())
    assert rows(text)[1:4] == [(2, "○"), (3, "○"), (4, "○")]
    assert "would be seen by the DNS server's log" in text


def test_each_event_when_asked_for() -> None:
    text = printed(no_certificate(), events=True)
    assert re.search(r"^ {8}\+[\d.]+ ms POST https://lyncweb\.\S+/CertProv/\S+ 404 ", text, re.MULTILINE)


@pytest.mark.parametrize("width", [20, 40, 60, 80, 110, 200])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_it_fits_whatever_there_is(width: int, encoding: str) -> None:
    for story in (healthy(), wrong_password(), no_certificate(), hostile()):
        text = printed(story, width, encoding=encoding)
        assert len(rows(text)) == 14
        assert max(len(line) for line in text.splitlines()) <= width


def test_letters_that_are_two_columns_wide_fit_as_well() -> None:
    text = printed(healthy(user="大" * 60 + "@contoso.example"), 80)
    assert max(cell_len(line) for line in text.splitlines()) <= 80
    assert len(rows(text)) == 14


def test_a_command_is_never_cut() -> None:
    """At any width it can be put together again."""
    whole = "".join(re.findall(r"^ {8}(\S.*)$", printed(wrong_password(), 200), re.MULTILINE))
    narrow = " ".join(re.findall(r"^ {8}(\S.*)$", printed(wrong_password(), 60), re.MULTILINE))
    assert whole.replace(" ", "") == narrow.replace(" ", "")


def test_nothing_from_outside_commands_the_terminal() -> None:
    text = printed(hostile(), events=True)
    assert "<script>alert(1)" in text
    assert not set(text) & set("\x1b\u202e\r\x07")
