"""`lyncgate signins`: of a journal, of files, in a terminal and for a program."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from rich.console import Console
from typer.testing import CliRunner

from lyncgate.cli.main import app
from lyncgate.cli.signintable import table
from lyncgate.observe.journal.offline import reader_of
from lyncgate.signin.exchange import Exchange
from support.journalling import append, journal
from support.processes import LYNCGATE, ROOT, wait_until
from support.signins import sign_in

NOW = 1_789_000_000.0


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A journal of thirty sign-ins, of which three failed."""
    path = tmp_path_factory.mktemp("journal") / "journal.db"
    with journal(path) as (made, _):
        append(made, 0, 27)
        append(made, 27, 3, refused=True)
        assert made.flush()
        yield path


def lyncgate(*arguments: object) -> Result:
    """The command, in this process."""
    return CliRunner().invoke(app, ["signins", *map(str, arguments)])


def documents(*arguments: object) -> list[dict[str, Any]]:
    done = lyncgate("--json", *arguments)
    assert done.exit_code == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_line_of_json_for_each(path: Path) -> None:
    told = documents("--journal", path)
    assert len(told) == 30
    failed = [one for one in told if one["outcome"] == "failed"]
    assert {one["user"] for one in failed} == {f"user{n}@contoso.example" for n in (27, 28, 29)}
    assert {one["failed_stage"] for one in failed} == {"ticket"}
    (one,) = documents("--journal", path, "--user", "user7@")
    assert one["stages"]["register"]["state"] == "ok"
    assert one["stages"]["dns_web"] == {"state": "not_observed", "seconds": None}
    assert one["device"] == "Lync Mobile/5.4 (iPhone; iOS 9.3)"


def test_filters(path: Path) -> None:
    assert len(documents("--journal", path, "--failed")) == 3
    assert len(documents("--journal", path, "--limit", "4")) == 4
    assert len(documents("--journal", path, "--since", "1h", "--client", "198.51.100.1")) == 30
    assert documents("--journal", path, "--since", "1s") == []
    assert documents("--journal", path, "--since", "2099-01-01T00:00") == []
    assert documents("--journal", path, "--code", "F99") == []
    assert documents("--journal", path, "--device", "nokia") == []


def test_a_table_for_people(path: Path) -> None:
    done = lyncgate("--journal", path, "--failed")
    assert done.exit_code == 0
    head, _, *lines = done.stdout.splitlines()
    assert head.split()[2:] == ["id", "user", "device", "client", "took", "stages", "outcome", "finding"]
    assert len(lines) == 3
    assert all("●○○○●○●●✕·····" in line and "failed at Ticket" in line for line in lines), lines
    assert "none" in lyncgate("--journal", path, "--user", "nobody").stdout


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_the_table_fits_its_terminal(width: int) -> None:
    with reader_of(
        event for number in range(3) for event in sign_in(number, NOW, refused=number == 1)
    ) as reader:
        shown = table(reader.list(), NOW, width)
    assert [line for line in shown.plain.splitlines() if len(line) > width] == []
    for wanted in ("●○○○●○●●✕·····", "failed at", "00000000000"):
        assert wanted in shown.plain


def test_what_came_from_outside_is_shown_and_does_nothing() -> None:
    hostile = "\x1b[2J<b>\u202e\n[bold]x"
    events = list(sign_in(1, NOW))
    for event in events:
        assert isinstance(event, Exchange)
        event.user_agent = hostile
        event.keys = type(event.keys)(connection=event.keys.connection, user=hostile, agent=hostile)
    with reader_of(events) as reader:
        console = Console(width=200, force_terminal=True, color_system=None)
        with console.capture() as captured:
            console.print(table(reader.list(), NOW, 200))
    assert "�[2J<b>��[bold]x" in captured.get()
    assert "\x1b[2J" not in captured.get()
    assert "\u202e" not in captured.get()


def test_it_follows_what_happens_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with journal(path) as (made, _), contextlib.ExitStack() as stack:
        append(made, 1, 1)
        assert made.flush()
        command = [*LYNCGATE, "signins", "--json", "--follow", "--journal", str(path)]
        following = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        stack.callback(following.wait)
        stack.callback(following.terminate)
        assert following.stdout
        stack.enter_context(following.stdout)
        assert json.loads(following.stdout.readline())["user"] == "user1@contoso.example"
        append(made, 2, 1)
        assert json.loads(following.stdout.readline())["user"] == "user2@contoso.example"


def test_it_follows_in_a_terminal_until_it_is_told_to_stop(path: Path) -> None:
    leader, follower = pty.openpty()
    command = [*LYNCGATE, "signins", "--follow", "--journal", str(path)]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "140", "LINES": "12"}
    following = subprocess.Popen(command, stdout=follower, stderr=follower, cwd=ROOT, env=environment)
    os.close(follower)
    shown = b""

    def seen() -> bool:
        nonlocal shown
        shown += os.read(leader, 65536)
        return b"user29@contoso.example" in shown

    wait_until(seen, lambda: shown)
    assert b"\x1b[32m" in shown, "in colour"
    assert b"user1@contoso.example" not in shown, "no more than the terminal has lines"
    following.send_signal(2)
    with contextlib.suppress(OSError):  # how a terminal says that nobody is there any more
        while os.read(leader, 65536):
            pass  # else its last words don't fit in
    assert following.wait(20) == 0
    os.close(leader)


def test_the_journal_is_that_of_the_rules(path: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(f"version: 1\njournal: {{path: {path}}}\n")
    assert len(documents("--rules", rules)) == 30
    rules.write_text("version: 1\n")
    done = lyncgate("--rules", rules)
    assert done.exit_code == 2
    assert "no journal.path" in done.stderr


def test_files_instead_of_a_journal(tmp_path: Path) -> None:
    log = tmp_path / "dns.log"
    query = {"time": time.time(), "client": "192.0.2.7:50123", "name": "lyncdiscover.contoso.example"}
    log.write_text(json.dumps(query | {"kind": "A", "rcode": "NOERROR", "answers": ["A 192.0.2.1"]}) + "\n")
    assert lyncgate("--from", log).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--journal", "none.db"), "none.db: there is no such file"),
        (("--journal", "README.md"), "file is not a database"),
        (("--rules", "none.yaml"), "none.yaml: No such file"),
        (("--from", "none.har"), "none.har: No such file"),
        (("--from", "README.md"), "README.md: neither a HAR"),
        (("--since", "yesterday", "--journal", "none.db"), "found 'yesterday'; allowed: a duration"),
        (("--follow", "--from", "x.har"), "files do not grow here"),
    ],
)
def test_mistakes_are_told(arguments: tuple[str, ...], said: str) -> None:
    done = lyncgate(*arguments)
    assert done.exit_code in (1, 2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
