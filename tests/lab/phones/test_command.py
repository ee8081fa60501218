"""`lyncgate phone`: what it says, and how it ends. Once as a process, through an edge that is one too."""

import json
import subprocess
from collections.abc import Callable

import pytest
from click.testing import Result
from typer.testing import CliRunner

from lyncgate.cli.main import app
from support.processes import LYNCGATE, ROOT, edge_process

type Phone = Callable[..., Result]


@pytest.fixture
def phone(lab) -> Phone:
    """Runs the command against the lab."""

    def run(*options: str) -> Result:
        return CliRunner().invoke(app, ["phone", "--to", str(lab.estate.directory), *options])

    return run


def test_one_phone_tells_each_step(phone):
    done = phone()
    assert done.exit_code == 0, done.stderr
    for word in (
        "ok   start",
        "ok   dns_internal",
        "web ticket issued",
        "an event came",
        "1 signed in, 0 failed",
    ):
        assert word in done.stdout


def test_many_phones_tell_a_summary_in_one_line_of_json(phone):
    users = "user[01-05]@contoso.example"
    done = phone("--count", "10", "--rate", "100/s", "--user", users, "--hold", "0.2", "--json")
    assert done.exit_code == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["device"], said["ok"], said["failed"], said["failures"]) == ("lync2013", 10, 0, [])
    assert said["stages"]["ticket"]["count"] == 10
    assert 0 < said["sign_in"]["p50"] <= said["sign_in"]["p100"]
    assert said["sign_ins_per_second"] > 0
    assert 0 < said["most_at_once"] <= 10
    assert said["peak_rss"] > 0


def test_table_has_a_line_for_each_stage(phone):
    done = phone("--count", "2", "--user", "user[01-02]@contoso.example")
    assert done.exit_code == 0, done.stderr
    lines = {line.split()[0]: line.split()[-1] for line in done.stdout.splitlines() if " ms " in line}
    assert lines["connect"] == lines["register"] == lines["sign-in"] == "2"


def test_sign_in_that_fails_is_counted_and_the_status_says_so(phone):
    done = phone("--password", "wrong", "--json")
    assert done.exit_code == 1
    (failure,) = json.loads(done.stdout)["failures"]
    assert (failure["stage"], failure["status"], failure["count"]) == ("ticket", 401, 1)


def test_password_can_come_by_the_environment(lab, phone, monkeypatch):
    monkeypatch.setenv("LYNCGATE_PHONE_PASSWORD", "wrong")
    assert phone().exit_code == 1


def test_phone_signs_in_through_an_edge(lab, tmp_path):
    rules = tmp_path / "rules.yaml"
    rules.write_text(lab.estate.rules_yaml())
    with edge_process(rules) as edge:
        https, http = (f"{host}:{port}" for host, port in (edge.https, edge.http))
        where = ("--to", https, "--to", f"http://{http}", "--ca", str(lab.estate.ca_file))
        done = subprocess.run(
            [*LYNCGATE, "phone", *where], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "1 signed in, 0 failed" in done.stdout
        assert edge.metric("lyncgate_requests_total") > 10


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--device", "nokia3310"), "there are"),
        (("--rate", "often"), "no rate"),
        (("--rate", "0/s"), "no rate"),
        (("--count", "0"), "--count"),
        (("--user", "alice"), "no SIP address"),
        (("--dns", "nowhere"), "HOST:PORT"),
        (("--ca", "/nonexistent/ca.pem"), "No such file"),
    ],
)
def test_option_without_sense_is_refused(phone, options, said):
    done = phone(*options)
    assert done.exit_code == 2
    assert said in done.stderr
