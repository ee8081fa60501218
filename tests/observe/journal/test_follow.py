"""What others write finds its way into the journal as it is written: DNS queries, front ends' traces."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lyncgate.observe.journal import follow
from lyncgate.observe.journal.reader import Reader
from lyncgate.policy.policy import Followed, FollowedKind, Journal
from support.journalling import Told, append, ask, journal
from support.processes import wait_until


@pytest.fixture
def dns(tmp_path: Path) -> Path:
    return tmp_path / "dns.log"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def query(number: int) -> str:
    asked = {"time": time.time(), "view": "external", "client": "198.51.100.1:50123", "transport": "udp"}
    asked |= {
        "name": f"host{number}.contoso.example",
        "kind": "A",
        "rcode": "NOERROR",
        "answers": ["A 192.0.2.1"],
    }
    return json.dumps(asked) + "\n"


def write(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def queries(path: Path) -> list[str]:
    """Names asked for, of the events in the file."""
    names = ask(path, "SELECT json_group_array(json_extract(event, '$.name')) FROM events ORDER BY seq")
    return sorted(json.loads(names))


@pytest.fixture
def following(path: Path, dns: Path) -> Iterator[Told]:
    dns.touch()
    with journal(path, follow=(Followed(FollowedKind.DNS, str(dns)),)) as (made, told):
        assert made.flush()
        yield told


def test_a_dns_log_as_it_grows(path: Path, dns: Path, following: Told) -> None:
    write(dns, query(1) + query(2)[:20])
    wait_until(lambda: queries(path) == ["host1.contoso.example"], lambda: queries(path))
    write(dns, "\nnonsense\n" + query(3))
    wait_until(lambda: len(queries(path)) == 2, lambda: queries(path))
    assert queries(path) == ["host1.contoso.example", "host3.contoso.example"]
    wait_until(lambda: following.written == 2, lambda: following.written)  # counted when they are there


def test_nothing_is_lost_until_the_thread_comes_to_a_file(path: Path, dns: Path, tmp_path: Path) -> None:
    """It looks a moment after the journal is opened, or has other rules: on a busy machine much later."""
    other = tmp_path / "other.log"
    for file in (dns, other):
        write(file, query(0))
    with journal(path, follow=(Followed(FollowedKind.DNS, str(dns)),)) as (made, _):
        write(dns, query(1))
        wait_until(lambda: queries(path) == ["host1.contoso.example"], lambda: queries(path))
        made.adopt(Journal(str(path), follow=(Followed(FollowedKind.DNS, str(other)),)))
        write(other, query(2))
        wait_until(lambda: len(queries(path)) == 2, lambda: queries(path))
        assert queries(path) == ["host1.contoso.example", "host2.contoso.example"]


def test_nothing_is_lost_while_the_journal_is_locked(
    path: Path, dns: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dns.touch()
    with journal(path) as (made, _):
        assert made.flush()
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as locking:
            locking.execute("BEGIN IMMEDIATE")
            made.adopt(Journal(str(path), follow=(Followed(FollowedKind.DNS, str(dns)),)))
            wait_until(lambda: "is locked" in caplog.text, lambda: caplog.text)
            write(dns, query(1))
            locking.execute("ROLLBACK")
        wait_until(lambda: queries(path) == ["host1.contoso.example"], lambda: queries(path))


def test_a_restart_goes_on_where_it_was_and_nothing_is_told_twice(path: Path, dns: Path) -> None:
    files = (Followed(FollowedKind.DNS, str(dns)),)
    with journal(path, follow=files) as (made, told):
        assert made.flush()
        write(dns, query(1))
        wait_until(lambda: told.written == 1, "not read")
    write(dns, query(2))
    with journal(path, follow=files) as (made, told):
        wait_until(lambda: told.written == 1, "not read")
        assert made.flush()
        assert queries(path) == ["host1.contoso.example", "host2.contoso.example"]


def test_only_one_of_two_writers_follows(path: Path, dns: Path) -> None:
    files = (Followed(FollowedKind.DNS, str(dns)),)
    dns.touch()
    with journal(path, follow=files) as (one, told_one), journal(path, follow=files) as (other, told_other):
        assert one.flush()
        assert other.flush()
        write(dns, "".join(map(query, range(50))))
        wait_until(lambda: len(queries(path)) == 50, lambda: queries(path))
        wait_until(lambda: told_one.written + told_other.written == 50, "not counted")
        assert 0 in (told_one.written, told_other.written)


def test_a_trace_joins_what_the_edge_saw(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last record is whole when nothing more comes."""
    monkeypatch.setattr(follow, "QUIET", 0.1)
    trace = tmp_path / "fe01.log"
    trace.touch()
    with journal(path, follow=(Followed(FollowedKind.TRACE, str(trace), "fe01"),)) as (made, _):
        append(made, 1, 1)
        assert made.flush()
        when = time.gmtime(time.time() - 119)
        stamp = time.strftime("%m/%d/%Y-%H:%M:%S.123", when)
        head = f"TL_INFO(TF_COMPONENT) [0]0860.0CDC::{stamp}.0000a4f1 (MCXService,Session.Start:s.cs(12))"
        write(trace, f"{head}( 00000000028FD70A ) user1@contoso.example is enabled for mobility\n")
        wait_until(
            lambda: ask(path, "SELECT count(*) FROM events WHERE event LIKE '%trace:fe01%'"), "not read"
        )
        assert made.flush()
        (row,) = Reader(made.place).list()
        detail = Reader(made.place).detail(row.id)
        assert detail
        assert {event.origin for event in detail[0].events} == {"edge", "trace:fe01"}


def test_a_reload_begins_and_ends_following(path: Path, dns: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.log"
    for file in (dns, other):
        file.touch()
    with journal(path, follow=(Followed(FollowedKind.DNS, str(dns)),)) as (made, told):
        assert made.flush()
        made.adopt(Journal(str(path), follow=(Followed(FollowedKind.DNS, str(other)),)))
        assert made.flush()
        write(dns, query(1))
        write(other, query(2))
        wait_until(lambda: told.written == 1, "not read")
        assert made.flush()
        assert queries(path) == ["host2.contoso.example"]


def test_a_file_that_can_not_be_read_is_told_once_and_harms_nothing(
    path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "dns.log"
    folder.mkdir()
    with journal(path, follow=(Followed(FollowedKind.DNS, str(folder)),)) as (made, told):
        sent = append(made, 1, 2)
        assert made.flush()
        assert made.flush()
        assert told.written == sent
    assert caplog.text.count("Is a directory") == 1
