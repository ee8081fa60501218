"""F34 … F36, F40, F41, F47, F48: who has the symptom, and who nearly has it."""

import pytest

from lyncgate.signin.events import TraceLine
from lyncgate.signin.facts import Document
from lyncgate.signin.finding import Certainty
from lyncgate.signin.story import SignInOutcome
from signin.catalogue.made import (
    BOB,
    FE1,
    FE2,
    LATER,
    MCX,
    UCWA,
    codes,
    first,
    made,
    ntlm,
    page,
    root,
    sip,
    user,
    web,
)

BEFORE = [root(), user(401), ntlm(200), user()]
CERTPROV = "/certprov/certprovisioningservice.svc/mex"
DIRECTOR = "dir1.corp.test"


def busy(by: str = FE1, method: str = "GET"):
    return page(method, UCWA, 503, by=by)


def line(text: str, level: str = "TL_ERROR") -> TraceLine:
    return TraceLine(
        id="ff" * 8,
        started=LATER,
        origin="trace:fe1",
        level=level,
        component="UCWA",
        function="X",
        text=text,
    )


class TestF34:
    def test_one_front_end_while_others_are_fine(self) -> None:
        others = made(web("GET", UCWA, 401, by=FE2), user=BOB)
        found = first(made(*BEFORE, busy()), others)
        assert (found.code, found.certainty) == ("F34", Certainty.CERTAIN)
        assert found.fixes[0].command == "Invoke-Command -ComputerName 'fe1.corp.test' { iisreset }"

    def test_it_is_not_named_beside_what_explains_it(self) -> None:
        others = made(web("GET", UCWA, 401, by=FE2), user=BOB)
        assert codes(made(*BEFORE, busy()), others) == ["F34"]

    def test_nothing_known_of_others(self) -> None:
        assert codes(made(*BEFORE, busy())) == ["F34"]
        assert first(made(*BEFORE, busy())).certainty is Certainty.LIKELY

    def test_all_of_them(self) -> None:
        assert first(made(*BEFORE, busy(), busy(FE2))).certainty is Certainty.POSSIBLE

    @pytest.mark.parametrize(
        "event", [page("GET", UCWA, 503), web("GET", UCWA, 503, content_type="application/json")]
    )
    def test_not_so(self, event) -> None:
        assert codes(made(*BEFORE, event)) == []


class TestF36:
    def test_the_same_server_answers_others(self) -> None:
        others = made(web("GET", UCWA, 401), user=BOB)
        assert codes(made(*BEFORE, busy()), others) == ["F36"]
        assert codes(made(*BEFORE, web("GET", UCWA, 401), busy(method="POST"))) == ["F36"]


class TestF35:
    BROKEN = page("GET", UCWA, 500, by=FE1)

    def test_a_page_of_asp_net(self) -> None:
        assert codes(made(*BEFORE, self.BROKEN)) == ["F35"]

    def test_and_the_trace_knows_why(self) -> None:
        why = line("An instance of CollaborationPlatform cannot be used after it was shut down")
        assert first(made(*BEFORE, self.BROKEN, why)).certainty is Certainty.CERTAIN

    def test_an_error_of_ucwa_s_own(self) -> None:
        own = web("POST", UCWA, 500, document=Document.FAULT, content_type="application/json")
        assert "F35" not in codes(made(*BEFORE, own))


class TestF40:
    def test_ucwa(self) -> None:
        no = web("POST", UCWA, 403, document=Document.FAULT, content_type="application/json")
        found = first(made(*BEFORE, no))
        assert (found.code, found.certainty) == ("F40", Certainty.CERTAIN)
        assert "Grant-CsMobilityPolicy -Identity 'sip:alice@contoso.test'" in (found.fixes[1].command or "")

    def test_mcx(self) -> None:
        assert codes(made(*BEFORE, web("POST", MCX, 403, error="MobilityDisabled"))) == ["F40"]

    def test_later(self) -> None:
        gone = web("GET", f"{UCWA}/1/events", 403, error="MobileApplicationNoLongerAllowed")
        assert codes(made(*BEFORE, gone)) == ["F40"]

    def test_the_policy_says_so(self) -> None:
        told = web("POST", MCX, 500, settings=(("EnableMobility", "False"),))
        assert "F40" in codes(made(*BEFORE, told))

    @pytest.mark.parametrize(
        "event",
        [
            page("POST", UCWA, 403),
            web("POST", UCWA, 403, diagnostics=28055),
            web("GET", f"{UCWA}/1/me/callforwardingsettings", 403, content_type="application/json"),
        ],
    )
    def test_not_so(self, event) -> None:
        assert "F40" not in codes(made(*BEFORE, event))


class TestF41:
    FAILED = web(
        "POST", UCWA, 500, document=Document.FAULT, content_type="application/json", error="ServiceFailure"
    )

    def test_without_a_trace(self) -> None:
        found = first(made(*BEFORE, self.FAILED))
        assert (found.code, found.certainty) == ("F41", Certainty.LIKELY)

    def test_with_a_trace(self) -> None:
        assert first(made(*BEFORE, self.FAILED, line("no registrar"))).certainty is Certainty.CERTAIN

    def test_it_did_register(self) -> None:
        good = sip("REGISTER", 200, contact="pool.corp.test:5088")
        assert codes(made(*BEFORE, self.FAILED, good)) == []

    def test_a_desktop_s_registration_does_not_count(self) -> None:
        other = sip("REGISTER", 200, contact="10.0.0.5:50123")
        assert codes(made(*BEFORE, self.FAILED, other)) == ["F41"]

    def test_not_so(self) -> None:
        assert codes(made(*BEFORE, self.FAILED, outcome=SignInOutcome.OK)) == []
        assert "F41" not in codes(made(*BEFORE, web("POST", MCX, 500, error="SessionNotFound")))


class TestF47:
    def test_a_server_that_answers_nothing_else(self) -> None:
        found = first(made(*BEFORE, web("POST", MCX, 404, by=DIRECTOR)))
        assert (found.code, found.certainty) == ("F47", Certainty.CERTAIN)

    def test_the_server_that_answered_all_else(self) -> None:
        assert first(made(*BEFORE, web("POST", MCX, 404))).certainty is Certainty.LIKELY

    def test_a_proxy_s_404(self) -> None:
        assert codes(made(*BEFORE, page("POST", MCX, 404))) == []


class TestF48:
    def test_not_published(self) -> None:
        assert codes(made(*BEFORE, page("GET", CERTPROV, 404))) == ["F48"]

    def test_the_pool_s_own_answer(self) -> None:
        assert codes(made(*BEFORE, web("GET", CERTPROV, 404))) == []

    def test_published_after_all(self) -> None:
        assert codes(made(*BEFORE, page("GET", CERTPROV, 404), web("GET", CERTPROV, 200))) == []
