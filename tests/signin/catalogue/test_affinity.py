"""F39, F42 … F44: who has the symptom, and who nearly has it."""

import pytest

from lyncgate.signin.facts import Document
from lyncgate.signin.finding import Certainty
from signin.catalogue.made import FE1, FE2, LATER, MCX, UCWA, codes, first, made, ntlm, root, user, web

BEFORE = [root(), user(401), ntlm(200), user()]
GOOD, BAD = "MS-WSMAN=; path=/; secure", "LB=; path=/; HttpOnly; Expires=Thu, 01 Jan 2099 00:00:00 GMT"


def lost(path: str = UCWA, by: str = FE2, cookies=(), sent=(), error: str = "ApplicationNotFound", **fields):
    """A session is made, and not found."""
    created = web("POST", path, 201, document=Document.APPLICATION, application="a", cookies=cookies)
    fields = {"document": Document.FAULT, "content_type": "application/json"} | fields
    return [
        *BEFORE,
        created,
        web(
            "GET",
            f"{path}/1/events",
            500 if path == MCX else 404,
            by=by,
            error=error,
            application="a",
            cookies_sent=sent,
            **fields,
        ),
    ]


class TestF39:
    def test_two_front_ends(self) -> None:
        found = first(made(*lost()))
        assert (found.code, found.certainty) == ("F39", Certainty.CERTAIN)
        assert found.evidence[-1].said == "made on fe1.corp.test, looked for on fe2.corp.test"
        assert codes(made(*lost())) == ["F39"]

    def test_one_front_end(self) -> None:
        assert first(made(*lost(by=FE1))).certainty is Certainty.LIKELY

    def test_long_after(self) -> None:
        *before, gone = lost()
        gone.started = LATER
        assert codes(made(*before, gone)) == []

    def test_another_application(self) -> None:
        *before, _ = lost()
        other = web("GET", f"{UCWA}/2/events", 404, by=FE2, error="ApplicationNotFound", application="b")
        assert codes(made(*before, other)) == []

    def test_the_client_had_signed_out(self) -> None:
        *before, gone = lost()
        out = web("DELETE", f"{UCWA}/1", 204, application="a")
        assert codes(made(*before, out, gone)) == []


class TestF42:
    def test_mcx(self) -> None:
        assert codes(made(*lost(MCX, error="SessionNotFound"))) == ["F42"]

    def test_one_front_end_is_possible_only(self) -> None:
        assert first(made(*lost(MCX, FE1, error="SessionNotFound"))).certainty is Certainty.POSSIBLE


@pytest.mark.parametrize(("path", "error"), [(UCWA, "ApplicationNotFound"), (MCX, "SessionNotFound")])
class TestCookies:
    def test_f43_set_and_not_sent(self, path, error) -> None:
        assert codes(made(*lost(path, cookies=(GOOD,), error=error))) == ["F43"]

    def test_f43_sent_it_is_no_cookie_s_fault(self, path, error) -> None:
        assert "F43" not in codes(made(*lost(path, cookies=(GOOD,), sent=("MS-WSMAN",), error=error)))

    @pytest.mark.parametrize("cookie", [BAD, "MS-WSMAN=; path=/; HttpOnly", "MS-WSMAN=; path=/; Max-Age=60"])
    def test_f44_not_as_demanded(self, path, error, cookie) -> None:
        assert codes(made(*lost(path, cookies=(cookie,), error=error))) == ["F44"]

    def test_cookies_of_the_pool_are_no_affinity(self, path, error) -> None:
        own = (
            "cwt_ucwa=; path=/ucwa/v1/applications/1/photos; secure; HttpOnly",
            "ASP.NET_SessionId=; path=/; HttpOnly",
        )
        assert not {"F43", "F44"} & set(codes(made(*lost(path, cookies=own, error=error))))


def test_any_cookie_is_fine_where_nothing_is_lost() -> None:
    made_ = web("POST", UCWA, 201, document=Document.APPLICATION, application="a", cookies=(BAD,))
    assert codes(made(*BEFORE, made_, web("GET", f"{UCWA}/1/events", 200, by=FE2, application="a"))) == []
