"""F37, F38, F49, F50: who has the symptom, and who nearly has it."""

import pytest

from lyncgate.signin.exchange import Outcome
from lyncgate.signin.facts import Document
from lyncgate.signin.finding import Certainty
from lyncgate.signin.story import SignInOutcome
from signin.catalogue.made import LATER, MCX, UCWA, codes, dns, first, made, page, sip, web

EVENTS = f"{UCWA}/1/events"
OK = SignInOutcome.OK
FEDERATION = "_sipfederationtls._tcp.contoso.test"


class TestF37:
    def test_always_after_the_same_time(self) -> None:
        cut = [page("GET", EVENTS, 504, seconds=s) for s in (30.0, 30.1)]
        found = first(made(*cut, outcome=OK))
        assert (found.code, found.certainty) == ("F37", Certainty.CERTAIN)
        assert "after 30.0 s" in found.evidence[0].said

    def test_once(self) -> None:
        assert first(made(page("GET", EVENTS, 502, seconds=60.0), outcome=OK)).certainty is Certainty.LIKELY

    def test_a_reset(self) -> None:
        cut = web("GET", EVENTS, None, outcome=Outcome.UPSTREAM_RESET, seconds=120.0)
        assert codes(made(cut)) == ["F37"]

    @pytest.mark.parametrize(
        "event",
        [
            web("GET", EVENTS, 200, seconds=180.0, document=Document.EVENTS),
            web("GET", EVENTS, 504, seconds=30.0),
            web("GET", EVENTS, None, outcome=Outcome.CLIENT_GONE, seconds=30.0),
            page("GET", EVENTS, 504, seconds=1860.0),
            page("GET", UCWA, 504, seconds=30.0),
            web("GET", EVENTS, None, outcome=None, phases={}),
        ],
    )
    def test_not_so(self, event) -> None:
        assert codes(made(event, outcome=OK)) == []

    def test_longer_polls_are_left_alone(self) -> None:
        long = web("GET", EVENTS, 200, seconds=180.0, document=Document.EVENTS)
        assert codes(made(page("GET", EVENTS, 502, seconds=3.0), long, outcome=OK)) == []


class TestF38:
    def replaced(self, **fields):
        return web("GET", EVENTS, 409, error="PGetReplaced", application="a", seconds=5.0, **fields)

    def test_with_one_poll_only(self) -> None:
        assert codes(made(self.replaced(), outcome=OK)) == ["F38"]

    def test_the_client_s_own_doing(self) -> None:
        first_ = self.replaced()
        second = web("GET", EVENTS, 200, application="a", seconds=180.0)
        assert codes(made(first_, second, outcome=OK)) == []

    def test_polls_after_each_other(self) -> None:
        polls = [self.replaced(started=LATER + 10 * n) for n in range(3)]
        assert first(made(*polls, outcome=OK)).code == "F38"


class TestF49:
    def test_the_message_does_not_arrive(self) -> None:
        push = web("POST", MCX, 200, operation="SubscribePush")
        found = first(made(push, sip("MESSAGE", 504), outcome=OK))
        assert (found.code, found.certainty) == ("F49", Certainty.LIKELY)

    def test_and_there_is_no_record(self) -> None:
        gone = dns(FEDERATION, "NXDOMAIN", kind="SRV")
        assert first(made(gone, sip("MESSAGE", 504), outcome=OK)).certainty is Certainty.CERTAIN
        assert codes(made(gone, outcome=OK)) == ["F49"]

    def test_not_so(self) -> None:
        push = web("POST", MCX, 200, operation="SubscribePush")
        assert codes(made(push, sip("MESSAGE", 200), outcome=OK)) == []
        assert codes(made(push, sip("MESSAGE", 480), outcome=OK)) == []
        assert codes(made(web("POST", UCWA, 201), sip("MESSAGE", 504), outcome=OK)) == []
        assert (
            codes(made(dns(FEDERATION, "NOERROR", "SRV 0 0 5061 sip.contoso.test", kind="SRV"), outcome=OK))
            == []
        )


class TestF50:
    def test_a_bad_gateway(self) -> None:
        assert codes(made(page("GET", "/hosting/discovery", 502, host="owa.contoso.test"), outcome=OK)) == [
            "F50"
        ]

    def test_a_front_end_answers(self) -> None:
        assert codes(made(web("GET", "/hosting/discovery", 404, host="owa.contoso.test"), outcome=OK)) == [
            "F50"
        ]

    @pytest.mark.parametrize("path", ["/meet/alice", "/mcx/mcxservice.svc", "/photos"])
    def test_other_names(self, path) -> None:
        assert "F50" not in codes(made(page("GET", path, 502), outcome=OK))

    def test_fine(self) -> None:
        assert codes(made(web("GET", "/hosting/discovery", 200, by=None, host="owa.contoso.test"))) == []
