"""F15 … F18: who has the symptom, and who nearly has it."""

from lyncgate.signin.events import HandshakeOutcome as Outcome
from lyncgate.signin.finding import Certainty
from lyncgate.signin.story import SignInOutcome
from signin.catalogue.made import (
    DISCOVER,
    ROOT,
    WEB,
    codes,
    dns,
    first,
    made,
    ntlm,
    page,
    redirect,
    root,
    shake,
    user,
    web,
)

EMEA = "web-emea.contoso.test"
AWAY = redirect(f"https://{EMEA}{ROOT}")


class TestF15:
    def test_the_certificate_lacks_the_name(self) -> None:
        found = first(made(AWAY, shake(EMEA, Outcome.ALERT, names=(WEB,))))
        assert (found.code, found.certainty) == ("F15", Certainty.CERTAIN)
        assert EMEA in (found.fixes[0].command or "")

    def test_the_proxy_has_no_rule(self) -> None:
        assert codes(made(AWAY, page("GET", ROOT, 404, host=EMEA))) == ["F15"]

    def test_the_name_does_not_exist(self) -> None:
        assert first(made(AWAY, dns(EMEA, "NXDOMAIN"))).certainty is Certainty.LIKELY

    def test_a_user_document_leads_there_too(self) -> None:
        away = user(links=(("Redirect", f"https://{EMEA}{ROOT}"),))
        assert codes(made(root(), away, page("GET", ROOT, 404, host=EMEA))) == ["F15"]

    def test_home_is_elsewhere_and_fine(self) -> None:
        there = [web("GET", ROOT, 200, host=EMEA), user(401, host=EMEA)]
        assert codes(made(AWAY, there, outcome=SignInOutcome.OK)) == []

    def test_home_is_elsewhere_and_out_of_sight(self) -> None:
        assert codes(made(AWAY)) == []


class TestF16:
    TYPO = "/Autodiscover/AutodisccoverService.svc/root"

    def test_almost_the_path(self) -> None:
        missed = page("GET", self.TYPO.lower(), 404, host=EMEA)
        assert codes(made(redirect(f"https://{EMEA}{self.TYPO}"), missed)) == ["F16"]

    def test_the_path_in_another_case(self) -> None:
        assert (
            codes(made(redirect("https://webdir.online.lync.com/autodiscover/autodiscoverservice.svc/root")))
            == []
        )


class TestF17:
    def test_a_ticket_and_no_home(self) -> None:
        assert codes(made(root(), user(401), ntlm(200), user(404))) == ["F17"]

    def test_without_a_ticket_nobody_knows(self) -> None:
        assert codes(made(root(), user(404))) == []

    def test_a_proxy_s_404_with_a_body(self) -> None:
        assert codes(made(root(), ntlm(200), user(404, by=None, response_bytes=500))) == []


class TestF18:
    def test_back_to_where_it_came_from(self) -> None:
        loop = f"https://{DISCOVER}{ROOT}"
        assert codes(made(redirect(loop), *[redirect(loop, path=ROOT) for _ in range(3)])) == ["F18"]

    def test_two_names_lead_to_each_other(self) -> None:
        events = [
            redirect(f"https://{a}{ROOT}", host=b, path=ROOT)
            for a, b in [(WEB, DISCOVER), (DISCOVER, WEB), (WEB, DISCOVER)]
        ]
        assert codes(made(*events)) == ["F18"]

    def test_http_leads_to_https_of_the_same_name(self) -> None:
        by_http = redirect(f"https://{DISCOVER}/", scheme="http")
        assert codes(made(by_http, by_http, by_http, root(), user(401))) == []
