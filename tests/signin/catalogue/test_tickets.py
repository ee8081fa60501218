"""F24 … F31: who has the symptom, and who nearly has it."""

import pytest

from lyncgate.signin.exchange import Outcome, Source
from lyncgate.signin.facts import Document
from lyncgate.signin.finding import Certainty
from lyncgate.signin.story import SignInOutcome
from signin.catalogue.made import FE2, TICKET, UCWA, codes, first, made, ntlm, page, root, user, web

TOKEN = "/webticket/oauthtoken"
BEFORE = [root(), user(401)]


@pytest.mark.parametrize(("code", "status", "number"), [("F24", 403, 28000), ("F25", 500, 28001)])
class TestDiagnostics:
    def test_it_says_so(self, code: str, status: int, number: int) -> None:
        found = first(made(*BEFORE, ntlm(status, diagnostics=number, diagnostics_text="Because.")))
        assert (found.code, found.certainty) == (code, Certainty.CERTAIN)
        assert "Because." in found.evidence[0].said

    def test_another_number(self, code: str, status: int, number: int) -> None:
        assert code not in codes(made(*BEFORE, ntlm(status, diagnostics=28099)))

    def test_let_in_afterwards(self, code: str, status: int, number: int) -> None:
        assert codes(made(*BEFORE, ntlm(status, diagnostics=number), ntlm(200), user())) == []


def test_f24_tells_how_to_enable_the_user() -> None:
    (fix,) = first(made(*BEFORE, ntlm(403, diagnostics=28000))).fixes
    alice = "alice@contoso.test"
    command = f"Enable-CsUser -Identity '{alice}' -RegistrarPool '<pool>' -SipAddress 'sip:{alice}'"
    assert fix.command == command


class TestF26:
    def test_a_ticket_from_another_server(self) -> None:
        refusal = web("POST", UCWA, 500, by=FE2, diagnostics=28032)
        assert first(made(*BEFORE, ntlm(200), user(), refusal)).certainty is Certainty.CERTAIN

    def test_from_the_same_server(self) -> None:
        refusal = web("POST", UCWA, 500, diagnostics=28032)
        found = first(made(*BEFORE, ntlm(200), user(), refusal))
        assert (found.code, found.certainty) == ("F26", Certainty.LIKELY)

    def test_a_new_ticket_was_good(self) -> None:
        refusal = web("POST", UCWA, 500, by=FE2, diagnostics=28032)
        assert codes(made(ntlm(200), refusal, ntlm(200), user(), outcome=SignInOutcome.OK)) == []


class TestF27:
    def test_the_token_is_refused(self) -> None:
        refusal = web("GET", UCWA, 403, diagnostics=28055, warning="InvalidToken", auth_used="Bearer")
        assert codes(made(refusal)) == ["F27"]

    def test_by_the_warning_alone(self) -> None:
        assert codes(made(web("GET", UCWA, 403, warning="InvalidToken"))) == ["F27"]

    def test_another_403(self) -> None:
        assert codes(made(web("GET", UCWA, 403, document=Document.HTML))) == []


class TestF28:
    TOLD = web(
        "POST",
        TOKEN,
        400,
        diagnostics=28020,
        error="invalid_grant",
        authentication_urls=("https://web.contoso.test/PassiveAuth/PassiveAuth.aspx",),
    )

    def test_nothing_is_there(self) -> None:
        gone = page("GET", "/passiveauth/passiveauth.aspx", 404)
        assert first(made(self.TOLD, gone)).certainty is Certainty.CERTAIN
        assert codes(made(self.TOLD, gone)) == ["F28"]

    def test_nobody_looked(self) -> None:
        assert first(made(self.TOLD)).certainty is Certainty.LIKELY

    def test_it_led_to_a_token(self) -> None:
        assert codes(made(self.TOLD, web("POST", TOKEN, 200, document=Document.TICKET))) == []


class TestF29:
    OFF = web("POST", TOKEN, 400, diagnostics=28029, error="unsupported_grant_type")

    def test_off(self) -> None:
        assert codes(made(self.OFF)) == ["F29"]

    def test_another_grant_is_on(self) -> None:
        assert codes(made(self.OFF, web("POST", TOKEN, 200, document=Document.TICKET))) == []


class TestF30:
    @pytest.mark.parametrize("status", [404, 503])
    def test_mex_is_not_there(self, status) -> None:
        found = first(made(*BEFORE, web("GET", f"{TICKET}/mex", status)))
        assert (found.code, found.certainty) == ("F30", Certainty.CERTAIN)

    def test_it_may_be_the_proxy(self) -> None:
        assert first(made(*BEFORE, page("GET", f"{TICKET}/mex", 404))).certainty is Certainty.LIKELY

    def test_the_edge_had_nobody_to_ask(self) -> None:
        nobody = web("GET", f"{TICKET}/mex", 503, by=None, outcome=Outcome.NO_MEMBER, ended_by=Source.PROXY)
        assert codes(made(*BEFORE, nobody)) == []

    def test_the_service_answers(self) -> None:
        assert codes(made(*BEFORE, web("GET", f"{TICKET}/mex", 503), ntlm(401)[0])) == []

    def test_a_failure_that_says_why_is_another(self) -> None:
        assert codes(made(*BEFORE, ntlm(500, diagnostics=28001))) == ["F25"]


class TestF31:
    def test_the_page_says_so(self) -> None:
        text = "Service does not allow a cross domain request from this origin."
        refusal = web("GET", UCWA, 403, document=Document.HTML, title=text, origin_sent=True)
        assert first(made(refusal)).certainty is Certainty.CERTAIN

    def test_an_origin_and_403(self) -> None:
        refusal = web("GET", UCWA, 403, document=Document.HTML, origin_sent=True)
        assert first(made(refusal)).certainty is Certainty.LIKELY

    @pytest.mark.parametrize(
        "fields",
        [
            {"origin_sent": False},
            {"origin_sent": True, "by": None},
            {"origin_sent": True, "diagnostics": 28000},
        ],
    )
    def test_not_so(self, fields) -> None:
        assert "F31" not in codes(made(web("GET", UCWA, 403, **fields)))
