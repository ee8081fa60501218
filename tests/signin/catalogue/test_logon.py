"""F20 … F23, F32: the same on the wire, told apart by who else gets in; and who nearly has the symptom."""

from lyncgate.signin.facts import Document
from lyncgate.signin.finding import Certainty
from lyncgate.signin.story import SignInOutcome
from signin.catalogue.made import (
    ALICE,
    BOB,
    CAROL,
    DAN,
    FE2,
    TICKET,
    codes,
    first,
    healthy,
    made,
    ntlm,
    root,
    user,
    web,
)
from support.changed import changed

BEFORE = [root(), user(401)]


def refused(who: str = ALICE, **fields):
    return made(*BEFORE, ntlm(401, fields.pop("account", who)), user=who, **fields)


class TestAlone:
    def test_all_that_it_can_be_is_named_the_password_first(self) -> None:
        sign_in = refused()
        assert codes(sign_in) == ["F21", "F22", "F32"]
        assert first(sign_in).certainty is Certainty.LIKELY

    def test_who_gave_another_name_has_no_f22(self) -> None:
        assert codes(refused(account="CONTOSO\\alice")) == ["F21", "F32"]

    def test_typed_again_and_let_in(self) -> None:
        assert codes(made(*BEFORE, ntlm(401), ntlm(200), user(), outcome=SignInOutcome.OK)) == []

    def test_an_application_s_password(self) -> None:
        token = web("POST", "/webticket/oauthtoken", 400, error="invalid_grant")
        assert codes(made(token))[0] == "F21"

    def test_other_refusals_are_no_password(self) -> None:
        assert codes(made(*BEFORE, ntlm(403))) == []
        assert codes(made(*BEFORE, ntlm(401)[:2])) == []


class TestF20:
    def split(self, **change):
        unproved, challenge, proof = ntlm(401)
        return made(*BEFORE, unproved, challenge, changed(proof, **change))

    def test_two_connections_of_the_client(self) -> None:
        found = first(self.split(connection="c2"))
        assert (found.code, found.certainty) == ("F20", Certainty.CERTAIN)
        assert codes(self.split(connection="c2")) == ["F20"]

    def test_two_front_ends(self) -> None:
        assert codes(self.split(server_fqdn=FE2)) == ["F20"]

    def test_two_connections_to_the_pool(self) -> None:
        first_, challenge, proof = ntlm(401)
        challenge = changed(challenge, facts=changed(challenge.facts, upstream="u1"))
        proof = changed(proof, facts=changed(proof.facts, upstream="u2"))
        assert codes(made(first_, challenge, proof)) == ["F20"]

    def test_the_password_is_taken_where_there_is_no_connection_to_lose(self) -> None:
        token = web("POST", "/webticket/oauthtoken", 200, document=Document.TICKET, operation="password")
        assert codes(made(*BEFORE, ntlm(401), token)) == ["F20"]
        assert codes(made(*BEFORE, ntlm(200), token)) == []

    def test_nobody_gets_in(self) -> None:
        found = first(refused(), refused(BOB), refused(CAROL))
        assert (found.code, found.certainty) == ("F20", Certainty.LIKELY)

    def test_somebody_does(self) -> None:
        assert "F20" not in codes(refused(), refused(BOB), refused(CAROL), healthy(DAN))

    def test_two_connections_and_let_in(self) -> None:
        challenge, proof = ntlm(200)[1:]
        assert codes(made(challenge, changed(proof, connection="c2"), user())) == []

    def test_another_way_in_says_nothing(self) -> None:
        other = made(*BEFORE, [changed(x, listener="inside") for x in ntlm(200)], user=DAN)
        assert codes(refused(), refused(BOB), refused(CAROL), other)[0] == "F20"


class TestF21:
    def test_the_same_name_was_good_before(self) -> None:
        earlier, sign_in = healthy(ALICE), refused()
        assert codes(sign_in, earlier, healthy(BOB)) == ["F21"]
        assert first(sign_in, earlier).evidence[1].said.endswith("before: 1 sign-in")


class TestF22:
    def test_another_form_of_the_name_was_good_before(self) -> None:
        earlier = healthy(ALICE, account="a.adams@contoso.test")
        sign_in = refused()
        assert codes(sign_in, earlier) == codes(sign_in, earlier, healthy(BOB)) == ["F22", "F21"]
        assert first(sign_in, earlier).certainty is Certainty.LIKELY


class TestF32:
    def test_never_seen_while_others_are_let_in(self) -> None:
        sign_in = refused(DAN)
        found = first(sign_in, healthy(BOB))
        assert (found.code, found.certainty) == ("F32", Certainty.POSSIBLE)
        assert codes(sign_in, healthy(BOB)) == ["F32", "F21", "F22"]


class TestF23:
    ONLY = web("POST", TICKET, 401, auth_offered=("Negotiate",))

    def test_negotiate_alone(self) -> None:
        assert codes(made(*BEFORE, self.ONLY)) == ["F23"]

    def test_the_client_tried_ntlm_all_the_same(self) -> None:
        tried = web("POST", TICKET, 401, auth_offered=("Negotiate",), auth_used="NTLM", ntlm=1)
        assert codes(made(*BEFORE, self.ONLY, tried)) == ["F23"]

    def test_a_client_that_knows_negotiate(self) -> None:
        tried = web("POST", TICKET, 401, auth_offered=("Negotiate",), auth_used="Negotiate", ntlm=3)
        assert "F23" not in codes(made(*BEFORE, self.ONLY, tried))

    def test_a_client_with_kerberos(self) -> None:
        assert codes(made(*BEFORE, self.ONLY, ntlm(200)[2], user())) == []

    def test_both_are_offered(self) -> None:
        assert codes(made(*BEFORE, ntlm(401)[0])) == []
