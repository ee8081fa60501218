"""Reload, from the file to the policy in force. With a running edge and open connections: tests/e2e."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lyncgate.engine.master import StartError
from lyncgate.engine.reload import Reloader
from lyncgate.engine.rules import read_rules
from lyncgate.policy.policy import Policy
from support.certificates import EDGE_NAMES, ca_file, issued

RULES = f"""\
version: 1
lync:
  domains:
    contoso.example: {{web_services: lyncweb.contoso.example, pool: pool01}}
listeners:
  https:
    bind: ["127.0.0.1:0"]
    protocol: https
    certificates: [{{cert: edge.pem, key: edge.key, root: {ca_file()}}}]
pools:
  pool01: {{members: [fe01.contoso.local], tls: {{name: pool01.contoso.local}}}}
publications:
  - {{name: web, hosts: [lyncweb.contoso.example], pool: pool01}}
"""


class Told:
    """Adopts whatever it is given, unless told not to, and hears of reloads."""

    def __init__(self) -> None:
        self.adopted: list[Policy] = []
        self.heard: list[tuple[bool, str]] = []
        self.refusal: Exception | None = None
        self.changed = asyncio.Event()

    async def adopt(self, policy: Policy) -> None:
        if self.refusal:
            raise self.refusal
        self.adopted.append(policy)
        self.changed.set()

    def reload(self, successful: bool, when: float, version: str) -> None:
        assert when > 1_700_000_000
        self.heard.append((successful, version))


def write_certificate(directory: Path, *names: str) -> None:
    files = issued(*names)
    (directory / "edge.pem").write_bytes(Path(files.cert).read_bytes())
    (directory / "edge.key").write_bytes(Path(files.key).read_bytes())


def begun(directory: Path) -> tuple[Path, Reloader, Told]:
    path = directory / "rules.yaml"
    path.write_text(RULES)
    write_certificate(directory, *EDGE_NAMES)
    loaded = read_rules(path)
    assert loaded.policy, loaded.problems
    told = Told()
    return path, Reloader(path, loaded, adopt=told.adopt, observer=told), told


def test_good_rules_are_adopted_once(tmp_path: Path) -> None:
    async def check() -> None:
        path, reloader, told = begun(tmp_path)
        assert await reloader.reload()
        assert told.adopted == [], "nothing new"
        path.write_text(RULES + "timeouts: {idle: 1m}\n")
        assert await reloader.reload()
        assert [policy.timeouts.idle for policy in told.adopted] == [60.0]
        assert all(successful for successful, _ in told.heard)
        assert told.heard[-1][1] == told.adopted[0].version != told.heard[0][1]

    asyncio.run(check())


@pytest.mark.parametrize(
    "content", ["version: 2\n", "a: [", "", RULES.replace("pool: pool01", "pool: pool02")]
)
def test_bad_rules_change_nothing(tmp_path: Path, content: str) -> None:
    async def check() -> None:
        path, reloader, told = begun(tmp_path)
        version = told.heard[0][1]
        path.write_text(content)
        assert not await reloader.reload()
        assert told.heard[1:] == [(False, version)]
        assert told.adopted == []
        path.write_text(RULES)
        assert await reloader.reload()
        assert told.heard[2:] == [(True, version)], "set right again"

    asyncio.run(check())


def test_bytes_that_are_no_text_and_a_file_that_is_gone(tmp_path: Path) -> None:
    async def check() -> None:
        path, reloader, told = begun(tmp_path)
        path.write_bytes(RULES.encode() + b"# \xff\n")
        assert not await reloader.reload()
        [problem] = read_rules(path).problems
        assert (problem.line, problem.column) == (RULES.count("\n") + 1, 3)
        path.unlink()
        assert not await reloader.reload()
        assert [successful for successful, _ in told.heard] == [True, False, False]

    asyncio.run(check())


def test_rules_that_can_not_be_put_in_force(tmp_path: Path) -> None:
    """They are tried again at the next change, not taken for the ones that serve."""

    async def check() -> None:
        path, reloader, told = begun(tmp_path)
        path.write_text(RULES + "timeouts: {idle: 1m}\n")
        for told.refusal in (StartError("address in use"), OSError("no such file")):
            assert not await reloader.reload()
        told.refusal = None
        assert await reloader.reload()
        assert len(told.adopted) == 1
        assert [successful for successful, _ in told.heard] == [True, False, False, True]

    asyncio.run(check())


def test_a_renewed_certificate_is_a_new_version(tmp_path: Path) -> None:
    async def check() -> None:
        _, reloader, told = begun(tmp_path)
        write_certificate(tmp_path, *EDGE_NAMES, "dialin.contoso.example")
        assert await reloader.reload()
        [policy] = told.adopted
        assert "dialin.contoso.example" in policy.listeners["https"].certificates[0].names

    asyncio.run(check())


@pytest.mark.parametrize("how", ["written", "renamed", "certificate"])
def test_changes_are_noticed(tmp_path: Path, how: str) -> None:
    """However they are made: editors and Kubernetes replace files by renaming."""

    async def check() -> None:
        path, reloader, told = begun(tmp_path)
        watching = asyncio.create_task(reloader.watch())
        # Whether it watches already can't be seen: change the file until it is noticed.
        async with asyncio.timeout(20):
            number = 0
            while not told.changed.is_set():
                number += 1
                if how == "certificate":
                    write_certificate(tmp_path, *EDGE_NAMES, f"n{number}.contoso.example")
                elif how == "written":
                    path.write_text(f"{RULES}timeouts: {{idle: {number}m}}\n")
                else:
                    (tmp_path / "new").write_text(f"{RULES}timeouts: {{idle: {number}m}}\n")
                    (tmp_path / "new").rename(path)
                try:
                    async with asyncio.timeout(1.5):
                        await told.changed.wait()
                except TimeoutError:
                    continue
        watching.cancel()

    asyncio.run(check())
