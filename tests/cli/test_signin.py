"""`lyncgate signin`: one sign-in of a journal or of files, for people, programs and other tools."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lyncgate.cli.main import app
from lyncgate.observe.journal.schema import Place
from lyncgate.observe.journal.store import Store
from lyncgate.signin import codec
from lyncgate.signin.diagnose import diagnose
from lyncgate.signin.stitch import stitch
from support.stories import healthy, wrong_password


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    events = [*healthy(), *wrong_password()]
    sign_ins = stitch(events)
    store = Store(Place.of(tmp_path / "journal.db"))
    store.add_events([(event, codec.dumps(event)) for event in events], {})
    store.put((sign_in, diagnose(sign_in, sign_ins)) for sign_in in sign_ins)
    store.close()
    return tmp_path / "journal.db"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["signin", *map(str, arguments)])


def test_the_last_one_by_default(journal: Path) -> None:
    done = run("--journal", journal)
    assert done.exit_code == 0, done.output
    assert done.output.startswith("alice@contoso.example  signed in\n")


def test_by_id_and_by_its_beginning(journal: Path) -> None:
    (bob,) = (one for one in stitch(wrong_password()) if one.user == "bob@contoso.example")
    for id_ in (bob.id, bob.id[:6]):
        done = run(id_, "--journal", journal)
        assert done.exit_code == 0, done.output
        assert done.output.startswith("bob@contoso.example  failed at Ticket\n")
        assert "lyncgate explain-finding F" in done.output


def test_as_json_and_as_har(journal: Path, tmp_path: Path) -> None:
    har = tmp_path / "signin.har"
    done = run("--journal", journal, "--json", "--har", har)
    document = json.loads(done.stdout)
    assert document["user"] == "alice@contoso.example"
    assert len(document["stages"]) == 15
    exchanges = [event for event in healthy() if event.type == "exchange"]
    assert len(json.loads(har.read_text())["log"]["entries"]) == len(exchanges)


def test_a_har_that_can_not_be_written(journal: Path, tmp_path: Path) -> None:
    done = run("--journal", journal, "--har", tmp_path / "none" / "signin.har")
    assert done.exit_code == 1
    assert "none/signin.har: No such file or directory" in done.output


@pytest.mark.parametrize(
    ("id_", "said"), [("ffff", "there is no such sign-in"), ("", "several sign-ins begin so")]
)
def test_which_one(journal: Path, id_: str, said: str) -> None:
    done = run(id_, "--journal", journal)
    assert done.exit_code == 1
    assert said in done.output


def test_no_journal(tmp_path: Path) -> None:
    done = run("--journal", tmp_path / "none.db")
    assert done.exit_code == 1
    assert "there is no such file" in done.output


def test_from_a_file(journal: Path, tmp_path: Path) -> None:
    """What one command wrote, another reads: the stages are the same."""
    har = tmp_path / "signin.har"
    assert run("--journal", journal, "--har", har).exit_code == 0
    done = run("--from", har, "--json")
    assert done.exit_code == 0, done.output
    stages = {stage["stage"]: stage["state"] for stage in json.loads(done.stdout)["stages"]}
    assert {stages[name] for name in ("discover", "locate", "ticket", "certificate")} == {"ok"}
