"""A phone signs in through an edge that follows the DNS server's log and the front ends' traces: the journal
has all fourteen stages, while the edge runs and after it; reloads change its bounds."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lyncgate.lync.stages import Stage
from lyncgate.observe.journal.reader import Reader
from lyncgate.observe.journal.schema import Place
from lyncgate.signin.story import SignInOutcome, StageState
from support.processes import LYNCGATE, ROOT, Edge, Lab, edge_process, wait_until

ALICE = "alice@contoso.example"
FRONT_ENDS = ("fe01", "fe02")


@contextlib.contextmanager
def estate(directory: Path) -> Iterator[tuple[Lab, Edge]]:
    """A lab that logs DNS queries and writes traces, and an edge that follows them."""
    traces = directory / "traces"
    options = ("--dir", str(directory), "--poll-minimum", "1", "--dns", "127.0.0.1", "--traces", str(traces))
    with contextlib.closing(Lab(directory, [*LYNCGATE, "lab", "--json", *options])) as lab:
        assert lab.start("lab").said
        follow: list[dict[str, str]] = [{"dns": "dns.log"}]
        follow += [{"trace": f"traces/{name}.log", "server": name} for name in FRONT_ENDS]
        with edge_process(lab.rules(journal={"path": "journal.db", "follow": follow})) as edge:
            yield lab, edge


def sign_in(lab: Lab, edge: Edge) -> None:
    said = lab.processes["lab"].said
    command = [*LYNCGATE, "phone", "--device", "wp75", "--user", ALICE, "--poll-timeout", "2"]
    command += ["--to", "{}:{}".format(*edge.https), "--to", "http://{}:{}".format(*edge.http)]
    command += [
        "--dns",
        "{}:{}".format(*said["dns"]["external"]),
        "--push",
        said["push"],
        "--ca",
        str(lab.ca),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def signins(path: Path) -> list[dict[str, Any]]:
    command = [*LYNCGATE, "signins", "--json", "--journal", str(path)]
    told = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout
    return [json.loads(line) for line in told.splitlines()]


@pytest.mark.timeout(120)
def test_all_fourteen_stages_are_in_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    reader = Reader(Place.of(path))

    def missing() -> set[Stage]:
        rows = reader.list()
        assert len(rows) <= 1
        return {stage for row in rows for stage, state in row.states.items() if state is not StageState.OK}

    def origins() -> set[str]:
        return {
            event.origin
            for row in reader.list()
            for detail in (reader.detail(row.id) or ())[:1]
            for event in detail.events
        }

    with estate(tmp_path) as (lab, edge):
        sign_in(lab, edge)
        # What the files say comes in its own time: the edge alone knows that all is well, and knows it first.
        traces = {f"trace:{name}" for name in FRONT_ENDS}
        wait_until(
            lambda: reader.list() and not missing() and origins() >= {"edge", "dns"} and origins() & traces,
            lambda: (missing(), origins()),
        )
        (row,) = reader.list(user="alice")
        assert row.findings == ()
        detail = reader.detail(row.id)
        assert detail

        # It counts when it is over, each stage with its time.
        edge.wait_for("lyncgate_signins_total", 1, outcome="ok")
        for stage in Stage:
            name = "lyncgate_signin_stage_duration_seconds_count"
            edge.wait_for(name, 1, stage=stage, outcome="ok")
        assert edge.metric("lyncgate_journal_dropped_total") == 0
        assert edge.metric("lyncgate_journal_events_total") >= len(detail[0].events)
        wait_until(lambda: edge.metric("lyncgate_journal_size_bytes") > 0, "no size")
        assert edge.process.stop() == 0
    (told,) = signins(path)
    assert (told["user"], told["outcome"]) == (ALICE, SignInOutcome.OK)
    assert {name for name, stage in told["stages"].items() if stage["state"] == "ok"} == set(Stage)


def test_a_reload_changes_bounds_and_refuses_another_file(lab: Lab, tmp_path: Path) -> None:
    rules = lab.rules(tmp_path, journal={"path": "journal.db"})
    with edge_process(rules) as edge:
        document = yaml.safe_load(rules.read_text())
        document["journal"]["age"] = "2d"
        reloads = edge.metric("lyncgate_config_reloads_total", result="success")
        rules.write_text(yaml.safe_dump(document))
        edge.wait_for("lyncgate_config_reloads_total", reloads + 1, result="success")
        document["journal"]["path"] = "other.db"
        rules.write_text(yaml.safe_dump(document))
        edge.wait_for("lyncgate_config_last_reload_successful", 0)
        log = edge.process.log.read_text()
        assert (
            f"journal.path: found {tmp_path}/other.db; in force: {tmp_path}/journal.db; it needs a rest"
            in log
        )
        assert not (tmp_path / "other.db").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"not a journal\n", "found another kind of file"), (None, "Is a directory")],
    ids=["other-file", "folder"],
)
def test_an_edge_does_not_start_on_a_file_that_is_no_journal(
    lab: Lab, tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "journal.db"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    rules = lab.rules(tmp_path, journal={"path": "journal.db"})
    command = [*LYNCGATE, "serve", "--rules", str(rules)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=60)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
