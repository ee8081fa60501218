"""`lyncgate demo` shows a sign-in and three that fail, explained, and ends well; with --keep its page, its
metrics and the commands it offers do what they say."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lyncgate.lync.stages import Stage
from support.processes import LYNCGATE, ROOT
from support.requirements import requires

# What is secret in a sign-in: pass words, tickets, NTLM messages (Base64 of "NTLMSSP").
SECRETS = re.compile(r"P4ss-|cwt=|TlRMTVNTU")


def demo(*options: str) -> subprocess.CompletedProcess[str]:
    command = [*LYNCGATE, "demo", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90, check=False)


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


def test_it_shows_sign_ins_stage_by_stage_and_ends() -> None:
    done = demo()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    # What the healthy phone did, and what the others' users saw.
    steps = re.findall(r"^  ok +(\w+) +[\d.]+ ms ", done.stdout, re.MULTILINE)
    assert {"discover", "locate", "ticket", "certificate", "register", "notifications", "ready"} <= set(steps)
    assert re.findall(r"^  FAIL (\w+)", done.stdout, re.MULTILINE) == [
        "ticket",
        "mobility_policy",
        "certificate",
    ]
    # What the edge made of it: fourteen rows each, every one of the first seen, the findings of the others.
    rows = re.findall(r"^ ?(\d+)  ([●✕○·]) ", done.stdout, re.MULTILINE)
    assert [int(number) for number, _ in rows] == [*range(1, 15)] * 4
    assert {mark for _, mark in rows[:14]} == {"●"}
    assert re.findall(r"^(F\d\d)  ", done.stdout, re.MULTILINE) == ["F21", "F40", "F48"]
    assert "not as it should be" not in done.stdout
    assert "Grant-CsMobilityPolicy" in done.stdout
    assert "$ lyncgate explain 'https://lyncdiscover.contoso.example/?sipuri=alice" in done.stdout
    assert not SECRETS.search(done.stdout)


def test_rules_of_another_pool_are_refused(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text((ROOT / "rules.yaml").read_text().replace("fe02.contoso.local", "fe09.contoso.local"))
    done = demo("--rules", str(rules))
    assert done.returncode == 2
    assert "fe09.contoso.local is no server of the lab" in " ".join(done.stderr.split())


def test_as_json_all_fourteen_stages_with_latencies_and_their_histograms() -> None:
    """As `make demo` serves: by the shipped rules.yaml, its route tests included."""
    command = [*LYNCGATE, "demo", "--json", "--keep", "--rules", "rules.yaml"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            document = json.loads("".join(iter(process.stdout.readline, "}\n")) + "}")
            metrics = fetch(document["metrics"])
            pages = [fetch(document["page"])]
            for sign_in in document["sign_ins"]:
                address = f"{document['page']}signins/{sign_in['id']}"
                pages += [fetch(address), fetch(f"{address}.json"), fetch(f"{address}.har")]
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert document["ok"] is True
    healthy, *broken = document["sign_ins"]
    assert healthy["device"] == "lyncgate-phone/1 (MCX WindowsPhone)"
    assert [stage["stage"] for stage in healthy["stages"]] == list(Stage)
    assert {stage["state"] for stage in healthy["stages"]} == {"ok"}
    assert all(0 <= stage["seconds"] < 30 for stage in healthy["stages"])
    assert healthy["findings"] == []
    assert [one["findings"][0]["code"] for one in broken] == ["F21", "F40", "F48"]
    counted = {
        sample.labels["stage"]: sample.value
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if sample.name == "lyncgate_signin_stage_duration_seconds_count" and sample.labels["outcome"] == "ok"
    }
    assert {stage for stage in Stage if counted[stage] >= 1} == set(Stage)
    for text in (json.dumps(document), metrics, *pages):
        assert not SECRETS.search(text)


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
    assert len([command for command in commands if command.startswith("curl")]) == 5
    assert len([command for command in commands if command.startswith("lyncgate")]) == 3
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
