"""F07 … F09, F12, F13, F33: who has the symptom, and who nearly has it."""

import pytest

from lyncgate.signin.finding import Certainty
from lyncgate.signin.story import SignInOutcome
from signin.catalogue.made import (
    DISCOVER,
    INTERNAL,
    ROOT,
    WEB,
    codes,
    dns,
    first,
    made,
    page,
    redirect,
    root,
    user,
    web,
)


class TestF07:
    LINKS = (("User", f"https://pool.corp.test{ROOT}/user"),)

    def test_internal_outside(self) -> None:
        inside = root(access_location="Internal", links=self.LINKS)
        found = first(made(inside, dns("pool.corp.test", "NXDOMAIN")))
        assert (found.code, found.certainty, len(found.evidence)) == ("F07", Certainty.CERTAIN, 2)

    def test_the_form_that_does_not_say_where_it_is_from(self) -> None:
        links = (("user", f"https://pool.corp.test{ROOT}/oauth/user"),)
        found = first(made(root(access_location=None, links=links), dns("pool.corp.test", "NXDOMAIN")))
        assert (found.code, found.certainty) == ("F07", Certainty.LIKELY)

    def test_inside_internal_is_right(self) -> None:
        inside = [
            root(host=INTERNAL, access_location="Internal", links=self.LINKS),
            user(access_location="Internal"),
        ]
        assert codes(made(*inside)) == []

    def test_external(self) -> None:
        assert codes(made(root(), user(401))) == []


class TestF08:
    def test_the_pool_does_not_know_the_name(self) -> None:
        assert codes(made(root(404, origin="capture")))[0] == "F08"
        assert codes(made(web("GET", "/x", 404, host="meet.contoso.test", origin="capture"))) == ["F08"]

    def test_not_behind_this_edge(self) -> None:
        assert first(made(root(404))).certainty is Certainty.POSSIBLE

    def test_not_so(self) -> None:
        assert "F08" not in codes(made(root(404, by=None)))
        assert "F08" not in codes(made(root(404), root()))


class TestF09:
    def test_a_page_where_a_document_should_be(self) -> None:
        assert codes(made(page("GET", "/", 200, host=DISCOVER))) == ["F09"]

    def test_a_redirect_to_a_log_on(self) -> None:
        away = root(302, by=None, redirect=f"https://{DISCOVER}/CookieAuth.dll")
        assert first(made(away)).certainty is Certainty.LIKELY
        shown = page("GET", "/cookieauth.dll", 200, host=DISCOVER)
        assert first(made(away, shown)).certainty is Certainty.CERTAIN

    def test_basic(self) -> None:
        assert codes(made(root(401, by=None, auth_offered=("Basic",)))) == ["F09"]

    @pytest.mark.parametrize(
        "event",
        [
            root(302, by=None, scheme="http", redirect=f"https://{DISCOVER}/"),
            root(301, by=None, redirect=f"https://{WEB}{ROOT}"),
            root(401, auth_offered=("Negotiate", "NTLM")),
            page("GET", "/", 404, host=DISCOVER),
        ],
    )
    def test_not_so(self, event) -> None:
        assert "F09" not in codes(made(event))

    def test_a_hotel_s_page_by_http_only(self) -> None:
        assert codes(made(page("GET", "/", 200, host=DISCOVER, scheme="http"), root(), user(401))) == []


class TestF12:
    def test_another_type_or_no_length(self) -> None:
        assert codes(made(root(content_type="text/xml"))) == ["F12"]
        assert codes(made(root(framing="close"))) == ["F12"]

    def test_some_clients_go_on(self) -> None:
        assert first(made(root(framing="close"), user(401))).certainty is Certainty.LIKELY
        assert codes(made(root(framing="close"), user(), outcome=SignInOutcome.OK)) == []

    @pytest.mark.parametrize("kind", ["application/json", "application/xml"])
    def test_the_forms_of_ucwa(self, kind) -> None:
        assert codes(made(root(content_type=kind))) == []


class TestF13:
    def test_the_proxy_has_no_such_path(self) -> None:
        assert codes(made(page("GET", "/", 404, host=DISCOVER))) == ["F13"]

    def test_this_edge_denies_it(self) -> None:
        denied = root(404, by=None, decision="deny", reason="not_published", rule="default")
        assert codes(made(denied)) == ["F13"]

    def test_the_pool_has_no_autodiscover(self) -> None:
        assert first(made(root(404, path=ROOT))).code == "F13"

    def test_one_of_two_is_enough(self) -> None:
        assert (
            codes(made(page("GET", "/", 404, host=DISCOVER), redirect(f"https://{WEB}{ROOT}", scheme="http")))
            == []
        )
        assert codes(made(root(404, by=None, host=INTERNAL), root(), user(401))) == []


class TestF33:
    def test_407(self) -> None:
        refused = root(407, by=None, scheme="http", auth_offered=("Negotiate", "NTLM"))
        assert codes(made(refused)) == ["F33"]

    def test_401_is_another_thing(self) -> None:
        assert codes(made(root(401, auth_offered=("NTLM",)))) == []
