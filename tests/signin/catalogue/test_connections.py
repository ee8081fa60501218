"""F03 … F06, F10, F11, F19: who has the symptom, and who nearly has it."""

import pytest

from lyncgate.signin.events import HandshakeOutcome as Outcome
from lyncgate.signin.exchange import Outcome as Ended
from lyncgate.signin.finding import Certainty
from lyncgate.signin.story import SignInOutcome
from signin.catalogue.made import (
    DISCOVER,
    INTERNAL,
    WEB,
    codes,
    dns,
    first,
    made,
    redirect,
    root,
    shake,
    user,
)

OTHERS = (WEB, "lyncdiscover.other.test")
NONE = (WEB, "meet.contoso.test")
BY_HTTP = redirect(f"https://{WEB}/x", scheme="http")


class TestF03:
    def test_the_certificate_has_other_sip_domains(self) -> None:
        found = first(made(shake(DISCOVER, Outcome.ALERT, names=OTHERS)))
        assert (found.code, found.certainty) == ("F03", Certainty.CERTAIN)
        assert WEB in found.evidence[0].said

    def test_it_gets_through_by_http_and_is_told_all_the_same(self) -> None:
        events = [shake(DISCOVER, Outcome.ALERT, names=OTHERS), BY_HTTP, user()]
        assert codes(made(*events, outcome=SignInOutcome.OK)) == ["F03"]

    def test_a_capture_sees_it_though_the_phone_does_not(self) -> None:
        wrong = shake(
            DISCOVER,
            Outcome.UNTRUSTED,
            origin="capture",
            side="upstream",
            names=OTHERS,
            certificate_problem="name",
        )
        assert codes(made(wrong, root(), user(), outcome=SignInOutcome.OK)) == ["F03"]

    def test_this_edge_has_no_certificate(self) -> None:
        refused = shake(DISCOVER, Outcome.ALERT, detail="unrecognized_name")
        assert first(made(refused)).certainty is Certainty.LIKELY

    @pytest.mark.parametrize(
        "shook",
        [
            shake(DISCOVER, Outcome.ALERT, names=("*.contoso.test",)),
            shake(DISCOVER, Outcome.OK, names=(DISCOVER,)),
            shake(WEB, Outcome.ALERT, names=OTHERS),
            shake(DISCOVER, Outcome.ALERT, names=("capture",), origin="capture"),
        ],
    )
    def test_not_so(self, shook) -> None:
        assert "F03" not in codes(made(shook))

    def test_port_80_may_stand_in_for_the_name(self) -> None:
        by_design = shake(DISCOVER, Outcome.ALERT, names=NONE)
        assert codes(made(by_design, BY_HTTP, user(), outcome=SignInOutcome.OK)) == []


class TestF04:
    def test_an_alias_into_another_domain_explains_the_name(self) -> None:
        alias = dns(DISCOVER, "NOERROR", "CNAME web.other.test", "A 203.0.113.1")
        assert codes(made(alias, shake(DISCOVER, Outcome.ALERT, names=OTHERS))) == ["F04"]

    def test_an_alias_within_the_domain(self) -> None:
        alias = dns(DISCOVER, "NOERROR", f"CNAME {WEB}", "A 203.0.113.1")
        assert codes(made(alias, shake(DISCOVER, Outcome.ALERT, names=OTHERS))) == ["F03"]

    def test_an_alias_that_the_certificate_allows_for(self) -> None:
        alias = dns(DISCOVER, "NOERROR", "CNAME web.other.test", "A 203.0.113.1")
        assert codes(made(alias, root(), user())) == []


class TestF05:
    def test_one_certificate_and_no_root(self) -> None:
        lone = shake(
            WEB, Outcome.UNTRUSTED, names=(WEB,), chain=1, certificate_problem="chain", side="upstream"
        )
        found = first(made(lone, outcome=SignInOutcome.OK))
        assert (found.code, found.certainty) == ("F05", Certainty.CERTAIN)

    def test_the_client_knows_no_such_authority(self) -> None:
        assert first(made(shake(DISCOVER, Outcome.ALERT, detail="tlsv1 alert unknown ca"))).code == "F05"

    def test_a_private_root_that_phones_may_have(self) -> None:
        private = shake(
            WEB, Outcome.UNTRUSTED, names=(WEB,), certificate_problem="self_signed", origin="probe"
        )
        assert first(made(private)).certainty is Certainty.LIKELY
        assert first(made(private, outcome=SignInOutcome.OK)).certainty is Certainty.POSSIBLE

    @pytest.mark.parametrize(
        "shook",
        [
            shake(WEB, Outcome.ALERT, detail="unknown_ca", origin="capture", side="client"),
            shake(WEB, Outcome.ALERT, detail="internal_error"),
            shake(WEB, Outcome.UNTRUSTED, certificate_problem="expired", names=(WEB,)),
        ],
    )
    def test_not_so(self, shook) -> None:
        assert "F05" not in codes(made(shook))


class TestF06:
    def test_nothing_newer_than_tls_1_0(self) -> None:
        old = shake(WEB, Outcome.ALERT, versions=("TLSv1",), detail="protocol_version")
        assert codes(made(old)) == ["F06"]

    def test_the_reverse(self) -> None:
        new = shake(WEB, Outcome.ALERT, versions=("TLSv1.2", "TLSv1.3"), detail="protocol version")
        assert first(made(new)).certainty is Certainty.LIKELY

    @pytest.mark.parametrize(
        "shook",
        [
            shake(WEB, Outcome.OK, versions=("TLSv1",)),
            shake(WEB, Outcome.ALERT, versions=("TLSv1.2",), detail="handshake_failure"),
            shake(WEB, Outcome.REFUSED, versions=("TLSv1",)),
        ],
    )
    def test_not_so(self, shook) -> None:
        assert "F06" not in codes(made(shook))


class TestF10:
    AWAY = root(301, scheme="http", redirect="https://www.other.test/")

    def test_another_domain(self) -> None:
        assert codes(made(self.AWAY)) == ["F10"]
        assert codes(made(shake(DISCOVER, Outcome.ALERT, names=NONE), self.AWAY)) == ["F10"]

    def test_https_works_all_the_same(self) -> None:
        assert codes(made(self.AWAY, root(), user(401))) == []

    def test_https_by_a_capture_does_not_count_if_the_certificate_is_wrong(self) -> None:
        wrong = shake(
            DISCOVER,
            Outcome.UNTRUSTED,
            origin="capture",
            side="upstream",
            names=NONE,
            certificate_problem="name",
        )
        assert codes(made(wrong, self.AWAY, root(), user(), outcome=SignInOutcome.OK)) == ["F10"]

    def test_the_same_domain_is_no_failure_for_most(self) -> None:
        near = root(302, scheme="http", redirect=f"https://{WEB}/x")
        assert first(made(near)).certainty is Certainty.POSSIBLE
        assert codes(made(near, user(401))) == []


class TestF11:
    def test_neither_way_is_open(self) -> None:
        closed = root(None, scheme="http", outcome=Ended.CONNECT_FAILED)
        assert codes(made(closed, shake(DISCOVER, Outcome.ALERT, names=OTHERS))) == ["F11"]

    def test_told_by_a_probe(self) -> None:
        closed = shake(None, Outcome.REFUSED, address=f"{DISCOVER}:80", origin="probe")
        assert first(made(closed, shake(DISCOVER, Outcome.ALERT, names=NONE))).code == "F11"

    def test_others_behind_the_same_address_were_refused(self) -> None:
        closed = shake(None, Outcome.REFUSED, scheme="http", origin="capture", side="upstream")
        wrong = shake(
            DISCOVER,
            Outcome.UNTRUSTED,
            origin="capture",
            side="upstream",
            names=NONE,
            certificate_problem="name",
        )
        found = first(made(wrong), made(closed, user="bob@contoso.test"))
        assert (found.code, found.certainty) == ("F11", Certainty.LIKELY)

    def test_https_is_enough(self) -> None:
        closed = root(None, scheme="http", outcome=Ended.CONNECT_FAILED)
        assert codes(made(closed, root(), user(401))) == []

    def test_http_is_enough(self) -> None:
        assert codes(made(shake(DISCOVER, Outcome.ALERT, names=NONE), BY_HTTP, user())) == []


class TestF19:
    def test_sip_where_http_is_spoken(self) -> None:
        assert codes(made(shake("sip.contoso.test", Outcome.NOT_HTTP, first_words="sip"))) == ["F19"]

    def test_other_bytes(self) -> None:
        assert codes(made(shake("sip.contoso.test", Outcome.NOT_HTTP, first_words="other"))) == []

    def test_why_it_came_so_far_comes_first(self) -> None:
        events = [dns(INTERNAL, "NXDOMAIN"), dns(DISCOVER, "NXDOMAIN")]
        assert codes(made(*events, shake("sip.contoso.test", Outcome.NOT_HTTP, first_words="sip"))) == [
            "F01",
            "F19",
        ]
