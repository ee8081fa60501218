"""SIPE, a Lync client that we did not write, signs in through the edge.

What it did is read twice: in the client's own messages, and in the edge's access log.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from e2e.sipe.run import SipeResult, requires_sipe, run_sipe
from lyncgate.engine.master import Engine
from lyncgate.lab import topology
from lyncgate.lab.authority import Authority, write_private
from support.processes import Edge, Lab, edge_process, lab_process

pytestmark = requires_sipe

ROOT = "/autodiscover/autodiscoverservice.svc/root"
USER = f"{ROOT}/user"
TICKET = "/webticket/webticketservice.svc"

ALICE = "alice@contoso.example"
DAVE = "dave@fabrikam.example"
ERIN = "erin@contoso.example"
CAROL = "carol@emea.contoso.example"


def sign_in(lab: Lab, edge: Edge, user: str, password: str | None = None) -> SipeResult:
    password = password or f"P4ss-{user.partition('@')[0]}"
    return run_sipe(user, password, cafile=lab.ca, connect_to=lab.names(edge).connect_to())


def steps(records: list[dict[str, Any]]) -> list[tuple[str, str, str, int]]:
    """What the access log shows of a sign-in: scheme, host, path, status. Runs of the same are one: SIPE
    asks for the user document once for each of its two discoveries."""
    shown = [(r["scheme"], r["host"], r["path"], r["status"]) for r in records]
    return [step for step, before in zip(shown, [None, *shown], strict=False) if step != before]


def signed_in(result: SipeResult, records: list[dict[str, Any]], user: str, web: str, home: set[str]) -> None:
    """Discovery by both schemes, NTLM, ticket, user document, all at `web` on members of `home`; REGISTER."""
    # The client's own view.
    assert result.signed_on, result
    discovery = result.sent(f"GET /?sipuri={user}")
    assert [message.header("host") for message in discovery] == [
        [f"lyncdiscover.{user.partition('@')[2]}"]
    ] * 2
    assert result.saw(f"sipe_lync_autodiscover_parse: redirect to https://{web}/")  # told by HTTP
    assert result.saw(f"sipe_lync_autodiscover_parse: user https://{web}/")  # told by HTTPS
    legs = result.sent("POST /WebTicket/WebTicketService.svc")
    proofs = ["".join(message.header("authorization")).partition(" ")[0] for message in legs]
    assert proofs == ["", "NTLM", "NTLM"]
    assert result.saw("got ticket for Auth URI")
    assert result.saw("lync_autodiscover_cb: got server list")
    assert result.sent("REGISTER ")
    assert result.received("SIP/2.0 200")

    # The edge's.
    assert {(r["scheme"], r["decision"], r["host"]) for r in records if r["path"] == "/"} == {
        ("http", "answer", f"lyncdiscover.{user.partition('@')[2]}"),
        ("https", "forward", f"lyncdiscover.{user.partition('@')[2]}"),
    }
    assert [step for step in steps(records) if step[2] != "/"] == [
        ("https", web, ROOT, 200),
        ("https", web, USER, 401),
        ("https", web, f"{TICKET}/mex", 200),
        ("https", web, TICKET, 401),
        ("https", web, TICKET, 200),
        ("https", web, USER, 200),
    ]
    tickets = [r for r in records if r["path"] == TICKET]
    assert len({r["connection"] for r in tickets}) == len({r["member"] for r in tickets}) == 1
    assert [r["ntlm_user"] for r in tickets if r["status"] == 200] == [user]
    assert {r["member"] for r in records if "member" in r} <= home
    assert {r["outcome"] for r in records} == {"ok"}


@pytest.mark.parametrize(
    ("user", "web", "home"),
    [
        pytest.param(ALICE, "lyncweb.contoso.example", {"fe01", "fe02"}, id="the first SIP domain"),
        pytest.param(DAVE, "lyncweb.contoso.example", {"fe01", "fe02"}, id="another SIP domain, same pool"),
        pytest.param(ERIN, "lyncweb-emea.contoso.example", {"fe21"}, id="routed by user to another pool"),
        pytest.param(CAROL, "lyncweb-emea.contoso.example", {"fe21"}, id="routed by domain to another pool"),
    ],
)
def test_signs_in(lab: Lab, edge: Edge, user: str, web: str, home: set[str]) -> None:
    before = edge.so_far()
    result = sign_in(lab, edge, user)
    signed_in(result, edge.settled(11, since=before), user, web, home)


def test_signs_in_by_the_stock_engine(lab: Lab, edge_of: Callable[[Engine], Edge]) -> None:
    edge = edge_of(Engine.STOCK)
    before = edge.so_far()
    result = sign_in(lab, edge, ALICE)
    home = {"fe01", "fe02"}
    signed_in(result, edge.settled(11, since=before), ALICE, "lyncweb.contoso.example", home)


def test_a_pool_that_sends_its_user_to_another_one(lab: Lab, tmp_path: Path) -> None:
    """The rules don't know where erin is homed: her domain's pool says `Redirect`, and its answer leads to
    the other web services through the edge as well."""
    with edge_process(lab.rules(tmp_path, lync={"users": []})) as edge:
        result = sign_in(lab, edge, ERIN)
        edge.so_far()  # the log is written in batches, and there may be more than these
        records = edge.settled(14)
    assert result.signed_on, result
    assert result.saw("sipe_lync_autodiscover_parse: redirect to https://lyncweb-emea.contoso.example/")
    web, emea = "lyncweb.contoso.example", "lyncweb-emea.contoso.example"
    documents = [(host, path, status) for _, host, path, status in steps(records) if path != "/"]
    assert documents[:6] == [
        (web, ROOT, 200),
        (web, USER, 401),
        (web, f"{TICKET}/mex", 200),
        (web, TICKET, 401),
        (web, TICKET, 200),
        (web, USER, 200),
    ]
    assert documents[-1] == (emea, USER, 200)
    assert {r["member"] for r in records if r["host"] == emea} == {"fe21"}


@pytest.mark.parametrize("dead", ["fe01", "fe02"])
def test_signs_in_with_a_member_killed(dead: str, tmp_path: Path) -> None:
    with lab_process(tmp_path, each_member=True) as lab, edge_process(lab.rules()) as edge:
        lab.processes[dead].kill()
        result = sign_in(lab, edge, ALICE)
        alive = {"fe01", "fe02"} - {dead}
        signed_in(result, edge.settled(11), ALICE, "lyncweb.contoso.example", alive)


def test_a_wrong_password_fails_at_the_ticket(lab: Lab, edge: Edge) -> None:
    before = edge.so_far()
    result = sign_in(lab, edge, ALICE, password="wrong")
    records = edge.settled(9, since=before)
    assert not result.signed_on
    assert result.saw("authentication failed, throwing away context")
    assert not result.saw("got ticket for Auth URI")
    assert not result.received("SIP/2.0 200")
    tickets = [r for r in records if r["path"] == TICKET]
    assert [(r["status"], r["outcome"], r["ended_by"]) for r in tickets] == [(401, "ok", "upstream")] * 3
    assert 200 not in {r["status"] for r in records if r["path"] == USER}


def test_a_certificate_of_an_unknown_authority_is_rejected(lab: Lab, tmp_path: Path) -> None:
    files = certificate(tmp_path, topology.public_names())
    with edge_process(lab.rules(tmp_path, listeners={"https": {"certificates": [files]}})) as edge:
        result = sign_in(lab, edge, ALICE)
        records = edge.settled(1)
    for name in ("lyncdiscover", "lyncweb"):
        assert result.saw(f"Starting verify for {name}")
        assert result.saw(f"Failed to verify certificate for {name}.contoso.example")
    assert not result.sent("POST ")
    assert {r["scheme"] for r in records} == {"http"}  # no request came by HTTPS


def test_a_certificate_for_another_name_is_not_even_shown(lab: Lab, tmp_path: Path) -> None:
    """Names lead the client to the edge of another domain. That one has a certificate that the client
    would trust, not for this name, and refuses the handshake: the client learns nothing about it."""
    files = certificate(tmp_path, ["www.fabrikam.example", "lyncdiscover.fabrikam.example"])
    rules = lab.rules(
        tmp_path,
        listeners={"https": {"certificates": [files]}},
        lync=None,
        publications=[{"name": "www", "hosts": ["www.fabrikam.example"], "pool": "pool01"}],
    )
    with edge_process(rules) as edge:
        result = run_sipe(
            ALICE,
            "P4ss-alice",
            cafile=Path(files["root"]),
            connect_to=lab.names(edge).connect_to(),
        )
        records = edge.settled(2)
        assert edge.metric("lyncgate_guard_rejections_total", reason="unknown_name") >= 1
    assert not result.signed_on
    assert not result.saw("Starting verify for lyncdiscover")
    assert not [r for r in records if r["scheme"] == "https" and r.get("reason") != "unknown_name"]


def certificate(directory: Path, names: Sequence[str]) -> dict[str, str]:
    """A listener's certificate for `names` from an authority of its own, in files."""
    authority = Authority()
    chain, key = authority.issue(names)
    for name, content in {"cert": chain, "key": key, "root": authority.pem}.items():
        write_private(directory / f"other-{name}.pem", content)
    return {name: str(directory / f"other-{name}.pem") for name in ("cert", "key", "root")}
