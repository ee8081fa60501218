"""check, explain and schema as an operator runs them: a process, its output, its exit status."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

from policy import pki
from policy.test_load import TEXT

ROOT = pathlib.Path(__file__).parents[2]


def lyncgate(*arguments: str, cwd: pathlib.Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from lyncgate.cli.main import main; main()", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT / "addons"), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def estate(tmp_path: pathlib.Path) -> pathlib.Path:
    """A directory with rules that can be served: certificates that are valid today, not at pki.NOW."""
    certificate, key = pki.make("edge", None, days=(-30, 36500))
    (tmp_path / "edge.pem").write_bytes(pki.pem(certificate))
    (tmp_path / "edge.key").write_bytes(pki.key_pem(key))
    text = (
        TEXT.replace("good.pem", "edge.pem").replace("good.key", "edge.key").replace("root.pem", "edge.pem")
    )
    (tmp_path / "rules.yaml").write_text(text)
    return tmp_path


def test_check_says_fine(estate: pathlib.Path) -> None:
    done = lyncgate("check", cwd=estate)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("rules.yaml: fine: version ")
    assert "1 route tests passed" in done.stdout


def test_check_says_all_that_is_wrong_and_nothing_on_stdout(estate: pathlib.Path) -> None:
    rules = estate / "rules.yaml"
    rules.write_text(rules.read_text().replace("connect: 2s", "connect: 2").replace("500ms", "soon"))
    done = lyncgate("check", "rules.yaml", cwd=estate)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        'rules.yaml:20:48: pools.pool01.health.slow_start: found "soon"; '
        "allowed: a duration such as 500ms, 5s, 31m, 1h or 365d",
        "rules.yaml:38:21: timeouts.connect: found 2; allowed: a duration such as 500ms, 5s, 31m, 1h or 365d",
        "rules.yaml: not served: 2 errors",
    ]


def test_check_as_json(estate: pathlib.Path) -> None:
    (estate / "edge.key").unlink()
    done = lyncgate("check", "--json", cwd=estate)
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert (told["ok"], told["version"], told["tests"]) == (False, None, 1)
    errors = [problem for problem in told["problems"] if problem["severity"] == "error"]
    assert [(p["file"], p["line"], p["key"]) for p in errors] == [
        ("rules.yaml", 13, "listeners.https.certificates[0].key")
    ]
    assert str(estate / "edge.pem") in told["files"]


def test_check_effective_is_rules_again(estate: pathlib.Path) -> None:
    (estate / "full.yaml").write_text(lyncgate("check", "--effective", cwd=estate).stdout)
    assert lyncgate("check", "full.yaml", cwd=estate).returncode == 0


def test_rules_that_are_not_there_or_not_text(estate: pathlib.Path) -> None:
    done = lyncgate("check", "nowhere.yaml", cwd=estate)
    assert (done.returncode, done.stderr) == (2, "nowhere.yaml: No such file or directory\n")
    (estate / "rules.yaml").write_bytes(b"version: 1\n# caf\xe9\n")
    done = lyncgate("check", cwd=estate)
    assert done.returncode == 1
    assert done.stderr.startswith("rules.yaml:2:6: found the byte 0xe9; allowed: UTF-8 text\n")


def test_the_rules_at_the_top_lack_only_the_lab_s_files() -> None:
    done = lyncgate("check", cwd=ROOT)
    wrong = [line for line in done.stderr.splitlines() if not line.startswith("rules.yaml: ")]
    assert [line for line in wrong if ": found lab/" not in line or "No such file" not in line] == []


def test_explain(estate: pathlib.Path) -> None:
    done = lyncgate("explain", "https://lyncweb.contoso.example/CSCP/x", cwd=estate)
    assert done.returncode == 0, done.stderr
    assert 'publication "web services": path /cscp/x is excluded' in done.stdout
    told = json.loads(
        lyncgate(
            *("explain", "http://lyncdiscover.contoso.example/", "--user", "bob@emea.contoso.example"),
            *("--from", "203.0.113.9", "--json"),
            cwd=estate,
        ).stdout
    )
    assert told["decision"]["action"] == "answer"
    assert told["source"] == "203.0.113.9"
    assert "meet.contoso.example" in json.dumps(told["decision"])


def test_explain_refuses_what_it_can_not_explain(estate: pathlib.Path) -> None:
    done = lyncgate("explain", "ftp://lyncweb.contoso.example/", cwd=estate)
    assert done.returncode == 2
    assert done.stderr == 'url: found "ftp://lyncweb.contoso.example/"; allowed: an http:// or https:// URL\n'
    (estate / "edge.key").unlink()
    done = lyncgate("explain", "https://lyncweb.contoso.example/", cwd=estate)
    assert done.returncode == 1
    assert "No such file or directory" in done.stderr


def test_schema_is_the_committed_one(tmp_path: pathlib.Path) -> None:
    done = lyncgate("schema", cwd=tmp_path)
    assert done.stdout == (ROOT / "docs" / "rules.schema.json").read_text()


def test_usage(tmp_path: pathlib.Path) -> None:
    assert lyncgate("chekc", cwd=tmp_path).returncode == 2
    shown = lyncgate("--version", cwd=tmp_path)
    assert shown.returncode == 0
    assert shown.stdout.startswith("lyncgate ")
    assert "check" in lyncgate("--help", cwd=tmp_path).stdout


def test_check_does_not_wait_for_the_proxy_engine(estate: pathlib.Path) -> None:
    code = (
        "import sys\nfrom lyncgate.cli.main import app\napp(['check'], standalone_mode=False)\n"
        "sys.exit('mitmproxy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=estate,
        env={**os.environ, "PYTHONPATH": str(ROOT / "addons")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
