"""The container file, read: no engine runs where the tests do."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "container" / "Containerfile"


def instructions() -> list[tuple[str, str]]:
    """(instruction, its text) in order, continuation lines joined, comments left out."""
    text = re.sub(r"^\s*#.*\n", "", FILE.read_text(), flags=re.MULTILINE)
    joined = text.replace("\\\n", " ")
    return [
        (word, " ".join(rest.split()))
        for line in joined.splitlines()
        if line.strip()
        for word, _, rest in [line.partition(" ")]
    ]


def all_of(word: str) -> list[str]:
    return [rest for found, rest in instructions() if found == word]


def final() -> dict[str, str]:
    """Instructions of the stage that is shipped; the last of each kind counts."""
    found = instructions()
    last = max(n for n, (word, _) in enumerate(found) if word == "FROM")
    return dict(found[last:])


def test_only_known_instructions() -> None:
    known = {"FROM", "COPY", "RUN", "ENV", "USER", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    assert {word for word, _ in instructions()} <= known


def test_each_stage_stands_on_the_same_pinned_image() -> None:
    images = {text.split()[0] for text in all_of("FROM")}
    assert len(images) == 1
    assert re.fullmatch(r"docker\.io/library/python:3\.1[2-9]\.\d+-slim-\w+", images.pop())


def test_it_does_not_run_as_root() -> None:
    user, group = final()["USER"].split(":")
    assert int(user) > 0
    assert int(group) > 0


def test_packages_come_from_the_lock_with_hashes_and_nothing_is_built() -> None:
    installs = [text for text in all_of("RUN") if " install " in text]
    assert len(installs) == 1
    for option in ("--require-hashes", "--only-binary :all:", "--no-deps", "-r /tmp/requirements.lock"):
        assert option in installs[0]
    assert "apt" not in FILE.read_text()


def test_what_is_copied_exists_and_is_no_more_than_needed() -> None:
    copied = [shlex.split(text)[:-1] for text in all_of("COPY")]
    from_here = [path for paths in copied if not paths[0].startswith("--from=") for path in paths]
    assert from_here == ["requirements.lock", "addons/lyncgate"]
    assert all((ROOT / path).exists() for path in from_here)


def test_paths_fit_the_python_of_the_image() -> None:
    tag = re.search(r"python:(3\.\d+)", FILE.read_text())
    assert tag is not None
    assert set(re.findall(r"lib/python(3\.\d+)", FILE.read_text())) == {tag[1]}


def test_it_is_started_without_a_shell_and_stopped_by_sigterm() -> None:
    shipped = final()
    assert json.loads(shipped["ENTRYPOINT"]) == ["lyncgate"]
    assert json.loads(shipped["CMD"]) == ["serve", "--rules", "/etc/lyncgate/rules.yaml"]
    assert shipped["STOPSIGNAL"] == "SIGTERM"
    assert shipped["EXPOSE"].split() == ["80", "443", "9145"]


def test_health_is_asked_where_the_admin_listener_is_by_default() -> None:
    from lyncgate.policy.policy import Admin

    _, _, command = final()["HEALTHCHECK"].partition(" CMD ")
    python, option, program = json.loads(command)
    assert (python, option) == ("python", "-c")
    compile(program, "healthcheck", "exec")
    host, port = Admin().bind or ("", 0)
    assert f"http://{host}:{port}/healthz" in program
