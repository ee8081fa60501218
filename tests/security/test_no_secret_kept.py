"""Nothing that proves who somebody is stays behind: not in the journal, logs, captures, pages, exports,
metrics, or in what commands say. Stock mitmdump in front of it all knows what went over the wire."""

from __future__ import annotations

import contextlib
import datetime
import os
import sqlite3
import subprocess
import urllib.error
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e import clients
from e2e.captures import Captured, capture_process
from e2e.clients import curl
from e2e.mitmdump import InFront, mitmdump
from e2e.test_ntlm_clients import HEADERS, RST, TICKET, WEB
from lyncgate.observe.journal.reader import Reader
from lyncgate.observe.journal.schema import Place
from support.processes import LYNCGATE, ROOT, Edge, Lab, edge_process, wait_until
from support.requirements import requires
from support.secrets import Known, files, forms, hits, secrets_of

pytestmark = requires("curl", "curl")

ALICE = b"alice@contoso.example"
PASSWORDS = {b"P4ss-alice", b"P4ss-bob"}  # the lab's
COOKIE, BEARER, GUESS = "c00kie-7f0d31", "cwt=bearer-5b31aa.9f", "gu3ss-1c9ab2"
TRACED = "Tr4ced-83cc90-41d2e8"
# What the real tool writes, unlike the lab's.
# Of today: what is older and belongs to no sign-in is soon thrown away.
NOW = datetime.datetime.now(datetime.UTC).strftime("%m/%d/%Y-%H:%M:%S")
TRACE = f"""\
TL_INFO(TF_PROTOCOL) [0]0A10.1B2C::{NOW}.101.0000a4f1 (SIPStack,A::B:a.cpp(1))$$begin_record
Direction: incoming
Start-Line: REGISTER sip:contoso.example SIP/2.0
From: <sip:alice@contoso.example>;tag=a1;epid=b2
Call-ID: c1
CSeq: 1 REGISTER
Authorization: TLS-DSK qop="auth", gssapi-data="{TRACED}", response="{TRACED}"
ms-diagnostics: 1000;reason="no";token="{TRACED}"
Message-Body: <Password>{TRACED}</Password>
$$end_record
TL_ERROR(TF_COMPONENT) [0]0A10.1B2C::{NOW}.102.0000a4f2 (MCXService,A.B:a.cs(1)) \
alice@contoso.example failed, Authorization: Bearer {TRACED} password={TRACED}
TL_INFO(TF_COMPONENT) [0]0A10.1B2C::{NOW}.103.0000a4f3 (MCXService,A.B:a.cs(1)) nothing
"""


@dataclass(frozen=True)
class Kept:
    """What went over the wire, and everything that was written or shown."""

    known: Known
    wire: Path
    places: dict[str, bytes]


@contextlib.contextmanager
def lab_process(directory: Path) -> Iterator[Lab]:
    options = ("--dir", str(directory), "--poll-minimum", "1", "--dns", "127.0.0.1")
    traces = ("--traces", str(directory / "traces"))
    with contextlib.closing(Lab(directory, [*LYNCGATE, "lab", "--json", *options, *traces])) as lab:
        assert lab.start("lab").said
        yield lab


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    lab_files, edge_files, capture_files, wire = (
        tmp_path_factory.mktemp(name) for name in ("lab", "edge", "capture", "wire")
    )
    with lab_process(lab_files) as lab:
        trace = lab_files / "real.log"
        follow = [{"trace": str(file), "server": file.stem} for file in (lab_files / "traces").iterdir()]
        follow += [{"trace": str(trace), "server": "real"}, {"dns": str(lab_files / "dns.log")}]
        rules = lab.rules(edge_files, journal={"path": "journal.db", "follow": follow})
        with edge_process(rules) as edge:
            behind = ("http://{}:{}@0".format(*edge.http), "https://{}:{}@0".format(*edge.https))
            options = [*("--listen", "127.0.0.1", "--upstream-ca", str(lab.ca))]
            options += [part for server in behind for part in ("--reverse", server)]
            with capture_process(capture_files, *options) as capture:
                http, https = capture.address("reverse:http:"), capture.address("reverse:https:")
                with mitmdump(lab, http, https, wire, trusted=capture.ca) as front:
                    sign_in(lab, front)
                    trace.write_text(TRACE)
                    wait_until(lambda: journaled(edge_files, "real"), "the trace in the journal")
                capture.stop()
            places = shown(edge)
            places |= {f"running: {name}": data for name, data in files(edge_files).items()}
            edge.process.stop()
            places["edge's stdout"] = output(edge.process.popen)
        places |= files(edge_files, capture.out, capture.process.log)
        places["commands"] = said(edge_files, capture, front)
    known = secrets_of(front.flows())
    known |= {"traced": {TRACED.encode()}, "guess": {GUESS.encode()}, "known": PASSWORDS}
    return Kept(known, wire / "front.flows", places)


def sign_in(lab: Lab, front: InFront) -> None:
    """Phones of each protocol; curl with NTLM, tickets, a cookie, a password in a form and a wrong one."""
    told = lab.processes["lab"].said
    for device in ("wp75", "lync2013", "desktop"):
        command = [*LYNCGATE, "phone", "--device", device, "--poll-timeout", "2", "--ca", str(lab.ca)]
        command += ["--to", f"127.0.0.1:{front.https[1]}", "--to", f"http://127.0.0.1:{front.http[1]}"]
        command += ["--dns", "{}:{}".format(*told["dns"]["external"]), "--push", told["push"]]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=ROOT, env=environment(), check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    edge = clients.Edge(front.http[1], front.https[1], lab.ca)
    headers = [f"{name}: {value}" for name, value in HEADERS.items()]
    cookie = ("--cookie", f"MS-WSMAN={COOKIE}")
    issued = curl(TICKET, edge, user=r"CONTOSO\bob:P4ss-bob", data=RST, headers=headers, options=cookie)
    assert issued.status == 200
    curl(TICKET, edge, user=rf"CONTOSO\bob:{GUESS}", data=RST, headers=headers)
    curl(f"{WEB}/Autodiscover/AutodiscoverService.svc/root/user?ticket={BEARER}", edge, headers=[
        f"Authorization: Bearer {BEARER}", f"X-MS-WebTicket: {BEARER}", f"Referer: {WEB}/?t={BEARER}",
    ])  # fmt: skip
    form = b"grant_type=password&username=alice@contoso.example&password=P4ss-alice"
    curl(f"{WEB}/WebTicket/oauthtoken", edge, data=form)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "addons")}


def journaled(directory: Path, server: str) -> bool:
    """Whether an event of this server's trace is in the journal."""
    with contextlib.closing(sqlite3.connect(directory / "journal.db")) as connection:
        found = connection.execute("SELECT 1 FROM events WHERE event LIKE ?", (f"%trace:{server}%",))
        return found.fetchone() is not None


def shown(edge: Edge) -> dict[str, bytes]:
    """Every page of the admin listener."""
    reader = Reader(Place.of(edge.rules.parent / "journal.db"))
    pages: dict[str, bytes] = {}

    def seen() -> bool:
        rows = reader.list()
        paths = ["/", "/signins", "/findings", "/metrics"]
        paths += [f"/signins/{row.id}{end}" for row in rows for end in ("", ".json", ".har")]
        try:
            pages.update({path: edge.get(path).encode() for path in paths})
        except urllib.error.HTTPError as error:
            if error.code != 404:  # one that was put together with another meanwhile
                raise
            return False
        return len(rows) >= 3

    wait_until(seen, "three sign-ins with their pages")
    return pages


def output(process: subprocess.Popen[bytes]) -> bytes:
    return process.stdout.read() if process.stdout else b""


def said(directory: Path, capture: Captured, front: InFront) -> bytes:
    """What commands say of the journals, and of the file that has all secrets in it."""
    text = b""
    places = (
        ("--rules", directory / "rules.yaml"),
        ("--journal", capture.out / "journal.db"),
        ("--from", front.file),
    )
    for command in (*(("signins", "--json", *place) for place in places), ("signins", *places[0])):
        done = subprocess.run(
            [*LYNCGATE, *map(str, command)], capture_output=True, cwd=ROOT, env=environment(), check=True
        )
        assert ALICE in done.stdout
        text += done.stdout + done.stderr
    return text


def test_nothing_is_kept(kept: Kept) -> None:
    kinds = {"password", "ticket", "assertion", "key", "signature", "certificate", "session", "cookie"}
    kinds |= {"ntlm message", "ntlm response", "ntlm challenge"}
    assert kinds <= kept.known.keys(), "all of it went over the wire"
    on_the_wire = {kind for kind, _, _ in hits(kept.known, {"wire": kept.wire.read_bytes()})}
    assert on_the_wire >= kinds - {"ntlm response", "ntlm challenge"} | {"known"}

    names = " ".join(kept.places)
    for place in ("journal.db", "access.log", "edge.log", "capture.flows", "capture.har", "/metrics", ".har"):
        assert place in names
    told = ("content", "capture.har", "capture.flows", "access.log")
    assert all(ALICE in data for place, data in kept.places.items() if place.endswith(told))
    assert sorted(hits(kept.known, kept.places)) == []


def test_what_is_planted_is_found(tmp_path: Path) -> None:
    """In every form, in the middle of a file, and in a row of a database that takes several of its pages."""
    secret = b"AAEBHAEFAAAAAAAFFQAAAOx-bearer_5b31aa.9f/+c"
    for form, planted in forms(secret).items():
        place = {"page": b"x" * 5000 + planted + b"y" * 5000}
        assert ("ticket", "page", form) in hits({"ticket": {secret}}, place)
        with contextlib.closing(sqlite3.connect(tmp_path / "planted.db")) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE IF NOT EXISTS events (event)")
            connection.execute("DELETE FROM events")
            connection.execute("INSERT INTO events VALUES (?)", tuple(place.values()))
            connection.commit()
            found = hits({"ticket": {secret}}, files(tmp_path))
        assert ("ticket", f"{tmp_path}/planted.db: content", form) in found
