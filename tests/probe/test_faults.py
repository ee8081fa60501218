"""Every fault of the lab that a probe can see: the right finding first, and a line with FAIL that says it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lyncgate.lab.dns.estate import View
from lyncgate.lab.faults.catalogue import CATALOGUE, choose
from lyncgate.lab.faults.fault import Faults
from lyncgate.lync.mcx import DEFAULT
from lyncgate.lync.stages import Stage
from probe.walks import bad, codes, walk
from support.estate import RunningEstate, running_estate

# (fault, stage of the first line with FAIL, a word of it, options of the probe). Those that are left out
# don't show to one user who does as a phone does: F27 … F29, F31 (other ways in), F36 (load).
SEEN: tuple[tuple[str, Stage | None, str, dict[str, Any]], ...] = (
    ("F01", Stage.DNS_DISCOVER, "NXDOMAIN", {}),
    ("F02", Stage.CONNECT, "TCP opens, and then no answer", {"patience": 0.5}),
    ("F03", Stage.CONNECT, "not for lyncdiscover.fabrikam.example", {}),
    ("F04", Stage.CONNECT, "not for lyncdiscover.fabrikam.example", {}),
    ("F05", Stage.CONNECT, "lacks the certificate of", {}),
    ("F06", Stage.CONNECT, "refused", {"old_clients": True}),
    ("F07", Stage.DISCOVER, "AccessLocation Internal", {}),
    ("F08", Stage.DISCOVER, "404", {}),
    ("F09", Stage.DISCOVER, "HTML", {}),
    ("F10", Stage.CONNECT, "not for lyncdiscover.contoso.example", {}),
    ("F11", Stage.CONNECT, "not for lyncdiscover.contoso.example", {}),
    ("F12", Stage.DISCOVER, "text/xml", {}),
    ("F13", Stage.DISCOVER, "404", {}),
    ("F14", Stage.CONNECT, "*.online.lync.com", {}),
    ("F15", Stage.CONNECT, "not for lyncweb-emea.contoso.example", {}),
    ("F16", Stage.LOCATE, "404", {}),
    ("F17", Stage.LOCATE, "doesn't know where the user is at home", {}),
    ("F18", Stage.LOCATE, "a circle", {}),
    ("F19", None, "where HTTP is spoken", {}),
    ("F20", Stage.TICKET, "401", {"second_try": True}),
    ("F21", Stage.TICKET, "401", {}),
    ("F23", Stage.TICKET, "NTLM is not there", {}),
    ("F24", Stage.TICKET, "not SIP enabled", {}),
    ("F25", Stage.TICKET, "500", {}),
    ("F26", Stage.REGISTER, "500", {}),
    ("F30", Stage.TICKET, "503", {}),
    ("F33", Stage.CONNECT, "refused", {}),
    ("F34", Stage.REGISTER, "503", {}),
    ("F35", Stage.REGISTER, "500", {}),
    ("F37", Stage.NOTIFICATIONS, "cut after", {"poll": 2.0}),
    ("F38", Stage.NOTIFICATIONS, "409", {"poll": 2.0}),
    ("F39", Stage.REGISTER, "don't know it", {}),
    ("F40", Stage.MOBILITY_POLICY, "403", {}),
    ("F41", Stage.REGISTER, "50", {}),
    ("F43", Stage.REGISTER, "don't know it", {}),
    ("F44", Stage.REGISTER, "don't know it", {}),
    ("F45", Stage.CONNECT, "TCP opens, and then no answer", {"patience": 0.5, "view": View.INTERNAL}),
    ("F46", Stage.DNS_WEB, "NXDOMAIN", {}),
    ("F47", Stage.REGISTER, "404", {"mcx": DEFAULT}),
    ("F48", Stage.CERTIFICATE, "404", {}),
    ("F50", None, "502", {"web_apps": "owa.contoso.example"}),
)
AMOUNTS = {"F37": "F37=0.5", "F38": "F38=0.3"}


@pytest.fixture
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningEstate]:
    """A lab with the fault whose code is the fixture's parameter."""
    code: str = request.param
    faults = Faults(choose(AMOUNTS.get(code, code)))
    with running_estate(tmp_path, poll_minimum=0.05, faults=faults) as running:
        yield running


@pytest.mark.parametrize(
    ("lab", "code", "stage", "said", "options"),
    [(code, code, stage, said, options) for code, stage, said, options in SEEN],
    indirect=["lab"],
    ids=[code for code, *_ in SEEN],
)
def test_finds_the_fault(
    lab: RunningEstate, code: str, stage: Stage | None, said: str, options: dict[str, Any]
) -> None:
    report = walk(lab, CATALOGUE[code].user, **options)
    assert codes(report)[:1] == [code], bad(report)
    failed = [(where, text) for where, _, text in bad(report)]
    assert failed[0][0] == stage, failed
    assert said in failed[0][1], failed
    assert not report.ok


@pytest.mark.parametrize("lab", ["F49"], indirect=True)
def test_no_federation_is_a_warning_and_a_finding(lab: RunningEstate) -> None:
    report = walk(lab)
    assert codes(report) == ["F49"]
    assert not bad(report)


@pytest.mark.parametrize("lab", ["F43"], indirect=True)
def test_says_what_the_cookie_is_worth(lab: RunningEstate) -> None:
    report = walk(lab)
    (said,) = [check.said for check in report.checks if check.what.endswith("with cookies")]
    assert said == "known on 2 of 2 with the cookie MS-WSMAN, which phones may not send back"


@pytest.mark.parametrize("lab", ["F20"], indirect=True)
def test_tells_a_broken_handshake_from_a_wrong_password(lab: RunningEstate) -> None:
    good = walk(lab, second_try=True)
    assert [c.said.partition(":")[0] for c in good.checks if "oauthtoken" in c.what] == ["taken"]
    wrong = walk(lab, password="P4ss-bob", second_try=True)
    assert [c.said.partition(":")[0] for c in wrong.checks if "oauthtoken" in c.what] == ["refused too"]
