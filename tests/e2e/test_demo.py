"""`lyncgate demo` shows a sign-in and ends well; with --keep, the commands it offers do what they say."""

import json
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.processes import LYNCGATE, ROOT
from support.requirements import requires

SIGN_IN = ["discover", "locate", "ticket", "register", "notifications", "ready"]
# What is secret in a sign-in: pass words, tickets, NTLM messages (Base64 of "NTLMSSP").
SECRETS = re.compile(r"P4ss-|cwt=|TlRMTVNTU")


def demo(*options: str) -> subprocess.CompletedProcess[str]:
    command = [*LYNCGATE, "demo", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def in_order(wanted: list[str], found: list[str]) -> bool:
    """Whether all of `wanted` begin in this order."""
    first = [found.index(stage) for stage in wanted if stage in found]
    return len(first) == len(wanted) and first == sorted(first)


def test_it_shows_a_sign_in_stage_by_stage() -> None:
    done = demo()
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    steps = re.findall(r"^  ok +(\w+) +[\d.]+ ms ", done.stdout, re.MULTILINE)
    assert in_order(SIGN_IN[:4], steps), done.stdout
    assert set(steps) >= set(SIGN_IN)
    assert "FAIL" not in done.stdout
    assert re.search(r"^signed in, \d+ steps in ", done.stdout, re.MULTILINE)
    # The decisions, the metrics, the explanation.
    assert re.search(r"^  200 +[\d.]+ ms +answer +edge +GET http://lyncdiscover\.", done.stdout, re.MULTILINE)
    assert re.search(
        r"^  200 +[\d.]+ ms +forward +fe0\d +GET https://lyncdiscover\.", done.stdout, re.MULTILINE
    )
    assert re.search(r"http://127\.0\.0\.1:\d+/metrics$", done.stdout, re.MULTILINE)
    assert "$ lyncgate explain 'https://lyncdiscover.contoso.example/?sipuri=alice" in done.stdout
    assert not SECRETS.search(done.stdout)


def test_it_serves_by_the_rules_that_are_shipped() -> None:
    """As `make demo` does: rules.yaml with the lab's addresses, its route tests included."""
    done = demo("--rules", "rules.yaml", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["ok"] is True
    assert {e["publication"] for e in document["exchanges"]} == {"lyncdiscover", "web services"}


def test_rules_of_another_pool_are_refused(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text((ROOT / "rules.yaml").read_text().replace("fe02.contoso.local", "fe09.contoso.local"))
    done = demo("--rules", str(rules))
    assert done.returncode == 2
    assert "fe09.contoso.local is no server of the lab" in " ".join(done.stderr.split())


def test_it_as_json() -> None:
    done = demo("--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["ok"] is True
    assert document["user"] == "alice@contoso.example"
    assert in_order(SIGN_IN[:4], [step["stage"] for step in document["steps"]])
    assert all(step["ok"] for step in document["steps"])
    assert {e["decision"] for e in document["exchanges"]} == {"answer", "forward"}
    assert {e["outcome"] for e in document["exchanges"]} == {"ok"}
    assert not SECRETS.search(done.stdout)


@pytest.fixture
def kept() -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """A demo that was left running, and the commands that it offers."""
    command = [*LYNCGATE, "demo", "--keep"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = []
            for line in process.stdout:
                lines.append(line.strip())
                if "Ctrl-C" in line:
                    break
            offered = lines[lines.index("Left running. To try:") + 1 :]
            yield process, [line for line in offered if line.startswith(("curl", "lyncgate"))]
        finally:
            process.kill()


@requires("curl", "curl")
def test_what_it_offers_to_try_works(kept: tuple[subprocess.Popen[str], list[str]]) -> None:
    process, commands = kept
    assert len([command for command in commands if command.startswith("curl")]) == 4
    for line in commands:
        program, *arguments = shlex.split(line)
        command = (
            [*LYNCGATE, *arguments] if program == "lyncgate" else [program, "--fail", "-s", "-S", *arguments]
        )
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, (line, done.stderr)
        assert done.stdout, line
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
