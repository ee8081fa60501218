"""One user signs in with two devices at once, another with a third: the edge's live journal, which follows
the DNS log and the front ends' traces, tells them apart, though every address is the same and one trace's
clock is ahead."""

import contextlib
import subprocess
from pathlib import Path

from lyncgate.lync.stages import Stage
from lyncgate.observe.journal.reader import Reader
from lyncgate.observe.journal.schema import Place
from lyncgate.signin.events import Event, SipMessage
from lyncgate.signin.exchange import Exchange
from lyncgate.signin.stitch import stitch
from lyncgate.signin.story import Joined, SignIn, SignInOutcome, StageState
from support.processes import LYNCGATE, ROOT, Edge, Lab, edge_process, wait_until

ALICE, BOB = "alice@contoso.example", "bob@contoso.example"
PHONES = {"wp75": ALICE, "lync2013": ALICE, "android2010": BOB}
AGENTS = {"WindowsPhone": "5087", "Android": "5087", "UCWA": "5088"}  # → where its service registers
DNS = (Stage.DNS_INTERNAL, Stage.DNS_DISCOVER, Stage.DNS_WEB)  # of one address, at one time: anybody's
SKEW = 2.5


def test_two_devices_of_one_user_and_one_of_another(tmp_path: Path) -> None:
    command = [
        *LYNCGATE,
        "lab",
        "--json",
        "--dir",
        str(tmp_path),
        "--poll-minimum",
        "1",
        "--dns",
        "127.0.0.1",
    ]
    command += ["--traces", str(tmp_path / "traces"), "--skew", f"fe01={SKEW}"]
    with contextlib.closing(Lab(tmp_path, command)) as lab:
        said = lab.start("lab").said
        traces = [{"trace": f"traces/{name}.log", "server": name} for name in ("fe01", "fe02")]
        followed = [{"dns": "dns.log"}, *traces]
        rules = lab.rules(journal={"path": "journal.db", "follow": followed})
        with edge_process(rules) as edge:
            reader = Reader(Place.of(str(tmp_path / "journal.db")))
            phones = []
            for device, user in PHONES.items():
                phones.append(phone(lab, edge, said, device, user))
                # What front ends say of a user's two devices is told apart by time, and their clocks are
                # known to half a second: the next one comes when this one is in.
                wait_until(lambda: registered(reader) == len(phones), lambda: f"{reader.list()}", 60)
            for process in phones:
                output, _ = process.communicate(timeout=60)
                assert process.returncode == 0, output
            wait_until(lambda: len(complete(reader)) == 3, lambda: f"{complete(reader)}", 60)
            sign_ins = complete(reader)
    assert {(s.user, port_of(s)) for s in sign_ins} == {(ALICE, "5087"), (ALICE, "5088"), (BOB, "5087")}
    for sign_in in sign_ins:
        assert_of_one_device(sign_in)
    # What the journal did step by step is what stitching makes of its events at once.
    events = [event for sign_in in sign_ins for event in sign_in.events]
    assert [shape(one) for one in stitch(events)] == sorted(map(shape, sign_ins))


def phone(lab: Lab, edge: Edge, said: dict, device: str, user: str) -> subprocess.Popen[str]:
    command = [*LYNCGATE, "phone", "--device", device, "--user", user, "--poll-timeout", "2"]
    command += ["--to", "{}:{}".format(*edge.https), "--to", "http://{}:{}".format(*edge.http)]
    command += [
        "--dns",
        "{}:{}".format(*said["dns"]["external"]),
        "--push",
        said["push"],
        "--ca",
        str(lab.ca),
    ]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def registered(reader: Reader) -> int:
    """Sign-ins that are, and of which a front end's trace says so as well: the edge knows it first."""
    found = [detail[0] for row in reader.list() if (detail := reader.detail(row.id)) is not None]
    return sum(
        sign_in.stage(Stage.REGISTER).state is StageState.OK
        and any(isinstance(event, SipMessage) for event in sign_in.events)
        for sign_in in found
    )


def complete(reader: Reader) -> list[SignIn]:
    """Sign-ins of which web, DNS and traces are all there."""
    found = [detail[0] for row in reader.list() if (detail := reader.detail(row.id)) is not None]
    needed = set(Stage) - {Stage.CERTIFICATE, *DNS}
    return [
        sign_in
        for sign_in in found
        if sign_in.outcome is SignInOutcome.OK
        and all(sign_in.stage(stage).state is StageState.OK for stage in needed)
        and any(isinstance(event, SipMessage) for event in sign_in.events)
    ]


def port_of(sign_in: SignIn) -> str:
    (port,) = {AGENTS[name] for name in AGENTS if name in (sign_in.device or "")}
    return port


def assert_of_one_device(sign_in: SignIn) -> None:
    """Each device has an agent, tickets and a dialogue of its own; its service registers from its port."""
    web = [event for event in sign_in.events if isinstance(event, Exchange)]
    sip = [event for event in sign_in.events if isinstance(event, SipMessage)]
    assert len({event.keys.agent for event in web}) == 1
    assert {named(event) for event in sign_in.events} - {None} == {sign_in.user}
    assert {event.contact.rpartition(":")[2] for event in sip if event.contact} == {port_of(sign_in)}
    assert len({event.keys.dialog for event in sip if event.keys.dialog}) == 1
    why = dict(sign_in.joined)
    assert all(why[event.id] is Joined.KEY for event in web if event.keys.tickets)
    offsets = dict(sign_in.offsets)
    if "trace:fe01" in offsets:
        assert abs(offsets["trace:fe01"] - SKEW) < 0.5
    assert all(abs(seconds) < 0.5 for origin, seconds in offsets.items() if origin != "trace:fe01")


def named(event: Event) -> str | None:
    return event.keys.user


def shape(sign_in: SignIn) -> tuple[float, str, tuple[str, ...]]:
    return sign_in.started, sign_in.id, tuple(event.id for event in sign_in.events)
