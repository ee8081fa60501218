"""One sign-in of a real client, seen by the edge itself, in a flow file of mitmproxy's and in HARs made of
that file: whoever tells of it, it is the same sign-in, with the same stages."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mitmproxy.http import HTTPFlow

from e2e.mitmdump import MITMDUMP, http_flows, mitmdump
from e2e.sipe.run import requires_sipe, run_sipe
from lyncgate.engine.capture.recording import legible, redact
from lyncgate.lync.stages import Stage
from lyncgate.observe import har
from lyncgate.observe.flowhar import entry_of
from lyncgate.observe.journal.reader import Reader
from lyncgate.observe.journal.schema import Place
from lyncgate.observe.sources import read
from lyncgate.signin.exchange import Exchange
from lyncgate.signin.keys import Hasher
from lyncgate.signin.redact import Redactor
from lyncgate.signin.stitch import stitch
from lyncgate.signin.story import SignIn, StageState
from support.processes import Lab, edge_process, wait_until

pytestmark = requires_sipe

ALICE = "alice@contoso.example"
WEB = 11  # exchanges of a sign-in of SIPE's


@dataclass(frozen=True)
class Told:
    """By the edge, and in mitmproxy's file."""

    live: SignIn
    flows: Path


@pytest.fixture(scope="module")
def told(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Told:
    directory = tmp_path_factory.mktemp("told")
    reader = Reader(Place.of(directory / "journal.db"))

    def journaled() -> list[SignIn]:
        found = [reader.detail(row.id) for row in reader.list()]
        return [detail[0] for detail in found if detail and len(web(detail[0])) >= WEB]

    with (
        edge_process(lab.rules(directory, journal={"path": "journal.db"})) as edge,
        mitmdump(lab, edge.http, edge.https, directory, trusted=lab.ca) as front,
    ):
        result = run_sipe(ALICE, "P4ss-alice", cafile=lab.ca, connect_to=lab.names(front).connect_to())
        assert result.signed_on, result
        edge.settled(WEB)
        wait_until(journaled, "the sign-in in the journal")
        (live,) = journaled()
    return Told(live, front.file)


def from_file(path: Path) -> SignIn:
    problems: list[str] = []
    (sign_in,) = stitch(read(path, problem=problems.append))
    assert problems == []
    return sign_in


def keys(sign_in: SignIn) -> set[tuple[str, bool, int]]:
    """Whose it is said to be, and by how many tickets, whatever their hashes are."""
    return {(e.keys.account or "", e.keys.user is not None, len(e.keys.tickets)) for e in sign_in.events}


def stages(sign_in: SignIn) -> dict[Stage, StageState]:
    return {view.stage: view.state for view in sign_in.stages}


def web(sign_in: SignIn) -> list[tuple[Any, ...]]:
    """What went over HTTP, in order."""
    exchanges = [event for event in sign_in.events if isinstance(event, Exchange)]
    return [(e.method, e.scheme, e.host, e.path, e.status, e.stage, e.facts.document) for e in exchanges]


def har_of_mitmproxy(told: Told, path: Path) -> None:
    options = ("--set", f"hardump={path}", "--set", f"confdir={path.parent}")
    subprocess.run([MITMDUMP, "-n", "-r", told.flows, *options], check=True, capture_output=True)


def har_of_lyncgate(told: Told, path: Path) -> None:
    write_har(http_flows(told.flows), path)


def har_without_secrets(told: Told, path: Path) -> None:
    flows = [legible(flow) for flow in http_flows(told.flows)]
    for flow in flows:
        redact(flow, Redactor(Hasher(b"another than the reader's")))
    write_har(flows, path)


def write_har(flows: list[HTTPFlow], path: Path) -> None:
    seen: set[Any] = set()
    log = {"version": har.VERSION, "creator": har.creator(), "entries": [entry_of(f, seen) for f in flows]}
    path.write_text(json.dumps({"log": log}))


def har_of_the_page(told: Told, path: Path) -> None:
    path.write_text(json.dumps(har.of_sign_in(told.live)))


def test_a_flow_file_tells_what_the_edge_tells(told: Told) -> None:
    filed = from_file(told.flows)
    assert stages(filed) == stages(told.live)
    reached = {stage for stage, state in stages(filed).items() if state is StageState.OK}
    assert reached >= {Stage.CONNECT, Stage.REDIRECT, Stage.DISCOVER, Stage.LOCATE, Stage.TICKET}
    assert web(filed) == web(told.live)
    assert (filed.user, filed.device) == (told.live.user, told.live.device)
    assert filed.user == ALICE


def test_a_har_tells_what_the_edge_tells(told: Told, tmp_path: Path) -> None:
    for make in (har_of_mitmproxy, har_of_lyncgate, har_without_secrets, har_of_the_page):
        file = tmp_path / f"{make.__name__}.har"
        make(told, file)
        filed = from_file(file)
        assert stages(filed) == stages(told.live), make
        assert web(filed) == web(told.live), make
        assert keys(filed) == keys(told.live), make
        assert (filed.user, filed.device) == (told.live.user, told.live.device), make
