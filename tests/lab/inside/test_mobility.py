"""A mobility service signs users in by SIP over mutual TLS, and nobody else can."""

import asyncio
import contextlib
import dataclasses
import ssl

import pytest

from lyncgate.lab import authority, sipmessage, topology
from lyncgate.lab.inside import documents, tls, trust
from lyncgate.lab.inside.client import Link, SipClient
from lyncgate.lab.inside.mobility import MobilityRegistrar, MobilityService, RegistrationError
from lyncgate.lab.inside.trace import NO_TRACE
from lyncgate.lab.sipmessage import Message
from lyncgate.lab.topology import AccessLocation
from lyncgate.lync import contacts, provisioning

EXTERNAL, INTERNAL = AccessLocation.EXTERNAL, AccessLocation.INTERNAL
FE01 = topology.MEMBERS["fe01"]


def inside(lab, member="fe01"):
    return lab.estate._running[member].inside


def user(lab, name="alice@contoso.example"):
    return lab.estate.people.by_sip(name)


def endpoints(lab, name="alice@contoso.example", pool="pool01"):
    return lab.estate.pools[pool].registrar.endpoints(name)


@contextlib.contextmanager
def signed_in(lab, service, **options):
    options = {"location": EXTERNAL, "endpoint": "phone-1"} | options
    registered = lab.run(service.sign_in(options.pop("user", user(lab)), **options))
    try:
        yield registered
    finally:
        lab.run(service.sign_out(registered))


@pytest.mark.parametrize(
    ("service", "location", "port"),
    [("mcx", EXTERNAL, 5087), ("mcx", INTERNAL, 5086), ("ucwa", EXTERNAL, 5088), ("ucwa", INTERNAL, 5089)],
)
def test_contact_says_which_service_and_which_site(lab, service, location, port):
    with signed_in(lab, getattr(inside(lab), service), location=location) as registered:
        (endpoint,) = endpoints(lab)
        assert endpoint.contact.startswith(f"<sip:pool01.contoso.local:{port};transport=Tls;ms-opaque=")
        assert endpoint.contact == f"<{registered.contact}>"
    assert endpoints(lab) == ()


def test_two_endpoints_of_a_user_are_two_registrations(lab):
    mcx = inside(lab).mcx
    with signed_in(lab, mcx), signed_in(lab, mcx, endpoint="phone-2") as second:
        assert len(endpoints(lab)) == 2
        lab.run(mcx.sign_out(second))
        assert len(endpoints(lab)) == 1
        lab.run(mcx.sign_out(second))  # once more is no error
        assert len(endpoints(lab)) == 1


def test_many_sign_in_at_once_over_one_connection(lab):
    async def crowd():
        mcx = inside(lab).mcx
        people = [u for u in lab.estate.people.users if u.home == "pool01"]
        registered = await asyncio.gather(
            *(mcx.sign_in(u, location=EXTERNAL, endpoint=u.name) for u in people)
        )
        counts = [len(endpoints(lab, u.sip)) for u in people]
        await asyncio.gather(*(mcx.sign_out(r) for r in registered))
        return counts, [len(endpoints(lab, u.sip)) for u in people]

    during, after = lab.run(crowd())
    assert set(during) == {1}
    assert set(after) == {0}


def test_user_of_another_pool_is_sent_there(lab):
    with pytest.raises(RegistrationError) as refused:
        lab.run(
            inside(lab).mcx.sign_in(user(lab, "erin@contoso.example"), location=EXTERNAL, endpoint="phone-1")
        )
    assert refused.value.status == 301


def test_registrations_end_with_the_connection_and_the_next_sign_in_makes_a_new_one(lab):
    mcx = inside(lab, "fe02").mcx
    lab.run(mcx.sign_in(user(lab, "bob@contoso.example"), location=EXTERNAL, endpoint="phone-1"))
    lab.run(lab.estate.kill("fe02"))
    assert endpoints(lab, "bob@contoso.example") == ()
    with pytest.raises(RegistrationError) as unreachable:
        lab.run(mcx.sign_in(user(lab), location=EXTERNAL, endpoint="phone-1"))
    assert unreachable.value.status is None
    lab.run(lab.estate.start_member("fe02"))
    with signed_in(lab, mcx, user=user(lab, "bob@contoso.example")):
        assert len(endpoints(lab, "bob@contoso.example")) == 1
    lab.run(mcx.close())


REGISTER = (
    ("From", "<sip:alice@contoso.example>;tag=1"),
    ("To", "<sip:alice@contoso.example>"),
    ("Call-ID", "c1"),
    ("CSeq", "1 REGISTER"),
    ("Contact", "<sip:pool01.contoso.local:5087>"),
    ("Expires", "7200"),
)


async def ask(lab, context, *messages, member=FE01, name=None):
    """Each message and its answer, on one connection to the inside port."""
    client = await SipClient.open(
        (member.address, lab.estate.ports.sip_mtls), name or member.fqdn, context, local="127.0.0.1"
    )
    try:
        answers = []
        for message in messages:
            answers.append(await client.ask(message(answers[-1]) if callable(message) else message))
        return answers
    finally:
        await client.close()


def register(*headers):
    return Message("REGISTER", "sip:contoso.example", (*REGISTER, *headers))


class TestStrictness:
    """Who has no business here does not get in."""

    def test_no_client_certificate_no_register(self, lab):
        context = authority.client_context(lab.estate.directory)
        with pytest.raises(OSError):
            lab.run(ask(lab, context, register()))
        assert endpoints(lab) == ()

    def test_the_handshake_itself_fails(self, lab):
        """Seen with TLS 1.2, where the client's side of the handshake waits for the server's verdict."""
        context = authority.client_context(lab.estate.directory)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        opened = asyncio.open_connection(
            FE01.address, lab.estate.ports.sip_mtls, ssl=context, server_hostname=FE01.fqdn
        )
        with pytest.raises(OSError):
            lab.run(opened)
        with_certificate = tls.connecting(lab.estate.directory, "pool01")
        with_certificate.maximum_version = ssl.TLSVersion.TLSv1_2
        (answer,) = lab.run(ask(lab, with_certificate, register()))
        assert answer.status == 401

    def test_certificate_for_servers_only_is_refused(self, lab):
        with pytest.raises(OSError):
            lab.run(ask(lab, tls.connecting(lab.estate.directory, "edge"), register()))

    def test_certificate_of_a_stranger_authority_is_refused(self, lab, tmp_path):
        authority.write_certificates(tmp_path)
        context = authority.client_context(lab.estate.directory)
        context.load_cert_chain(tmp_path / "pool01.pem", tmp_path / "pool01.key")
        with pytest.raises(OSError):
            lab.run(ask(lab, context, register()))

    @pytest.mark.parametrize("name", ["pool02", "sip"])
    def test_server_that_is_not_of_the_pool_is_forbidden_to_register(self, lab, name):
        (answer,) = lab.run(ask(lab, tls.connecting(lab.estate.directory, name), register()))
        assert answer.status == 403
        assert 'source="fe01.contoso.local"' in answer.header("ms-diagnostics")

    @pytest.mark.parametrize("show", ["pool02", "sip", "edge"])
    def test_wrong_server_certificate_is_refused(self, lab, show):
        """A server that is not fe01 stands where fe01 should be: no REGISTER is sent to it."""
        seen = []

        async def meet_an_impostor():
            async def serve(reader, writer):
                with contextlib.suppress(OSError):
                    seen.append(await reader.read(100))
                writer.close()

            impostor = await asyncio.start_server(
                serve, "127.0.0.1", 0, ssl=authority.server_context(lab.estate.directory, show)
            )
            address = impostor.sockets[0].getsockname()
            pool = lab.estate.pools["pool01"]
            context = tls.connecting(lab.estate.directory, "pool01")
            link = Link(address, FE01.fqdn, context, "127.0.0.1")
            mcx = MobilityRegistrar(MobilityService.MCX, pool, link, NO_TRACE)
            async with impostor:
                await mcx.sign_in(user(lab), location=EXTERNAL, endpoint="phone-1")

        with pytest.raises(RegistrationError, match="certificate") as refused:
            lab.run(meet_an_impostor())
        assert refused.value.status is None
        assert b"".join(seen) == b""

    def test_challenge_must_be_answered_with_the_pools_key(self, lab):
        def answer_with(key):
            def answered(challenge):
                opaque = trust.challenged(challenge.header("www-authenticate"))
                return trust.Signer(key, opaque).signed(register())

            return answered

        pool = lab.estate.pools["pool01"]
        context = tls.connecting(lab.estate.directory, "pool01")
        wrong = lab.run(ask(lab, context, register(), answer_with(b"guess")))
        right = lab.run(ask(lab, context, register(), answer_with(pool.trust_key)))
        assert [answer.status for answer in wrong] == [401, 401]
        assert [answer.status for answer in right] == [401, 200]

    def test_signed_message_is_taken_once_and_unchanged(self, lab):
        key = lab.estate.pools["pool01"].trust_key
        signed = []

        def answered(challenge):
            signer = trust.Signer(key, trust.challenged(challenge.header("www-authenticate")))
            signed.append(signer.signed(register()))
            return signed[0]

        context = tls.connecting(lab.estate.directory, "pool01")
        answers = lab.run(ask(lab, context, register(), answered, lambda _: signed[0]))
        assert [answer.status for answer in answers] == [401, 200, 401]

    def test_nobody_subscribes_unregistered_and_unknown_users_are_unknown(self, lab):
        context = tls.connecting(lab.estate.directory, "pool01")
        headers = tuple(
            ("CSeq", "1 SUBSCRIBE") if name == "CSeq" else (name, value) for name, value in REGISTER
        )
        subscribe = Message("SUBSCRIBE", "sip:alice@contoso.example", (*headers, ("Event", "presence")))
        stranger = Message(
            "REGISTER",
            "sip:contoso.example",
            (("From", "<sip:zoe@contoso.example>;tag=1"), *REGISTER[1:]),
        )
        forbidden, unknown = lab.run(ask(lab, context, subscribe, stranger))
        assert (forbidden.status, unknown.status) == (403, 404)


def test_answers_carry_what_the_request_had(lab):
    (answer,) = lab.run(ask(lab, tls.connecting(lab.estate.directory, "pool01"), register()))
    assert answer.header("call-id") == "c1"
    assert answer.header("cseq") == "1 REGISTER"
    assert sipmessage.address(answer.header("to"))[1]


def test_what_the_phone_needs_comes_with_the_registration(lab):
    scenario = lab.estate.people.scenario
    with signed_in(lab, inside(lab).mcx) as registered:
        told = provisioning.parse(registered.provisioning)
        assert told == scenario.provisioning(user(lab))
        assert told.voicemail_uri == "sip:alice@contoso.example;opaque=app:voicemail"
        buddies = contacts.parse_roaming(registered.contacts)
        assert buddies == scenario.contacts(user(lab))
        cards = [contacts.parse_presence(part) for part in registered.presence]
        assert [card.card.sip for card in cards] == [buddy.sip for buddy in buddies.contacts]
        assert len(cards) > 1


def test_unknown_event_and_unreadable_body_are_refused(lab):
    async def answers():
        pool = lab.estate.pools["pool01"]
        context = tls.connecting(lab.estate.directory, "pool01")
        client = await SipClient.open(
            (FE01.address, lab.estate.ports.sip_mtls), FE01.fqdn, context, local="127.0.0.1"
        )
        try:
            challenge = await client.ask(register())
            signer = trust.Signer(pool.trust_key, trust.challenged(challenge.header("www-authenticate")))
            assert (await client.ask(signer.signed(register()))).status == 200
            subscribe = Message("SUBSCRIBE", "sip:alice@contoso.example", REGISTER)
            asked = [("call-me", b""), ("presence", b"<a/>"), ("vnd-microsoft-provisioning-v2", b"no XML")]
            return [
                (
                    await client.ask(
                        signer.signed(
                            dataclasses.replace(subscribe, headers=(*REGISTER, ("Event", event)), body=body)
                        )
                    )
                ).status
                for event, body in asked
            ]
        finally:
            await client.close()

    assert lab.run(answers()) == [489, 400, 400]


def test_sign_in_that_gets_no_documents_leaves_no_registration(lab, monkeypatch):
    """The registrar serves one event less: 489 to the mobility service."""
    make = documents._document

    def without_contacts(scenario, user, event, asked):
        return None if event == contacts.ROAMING_EVENT else make(scenario, user, event, asked)

    monkeypatch.setattr(documents, "_document", without_contacts)
    with pytest.raises(RegistrationError, match="489"):
        lab.run(inside(lab).mcx.sign_in(user(lab), location=EXTERNAL, endpoint="phone-1"))
    assert endpoints(lab) == ()


class TestAssociation:
    """What a challenge is good for."""

    def signed(self, lab, message):
        """A callable that signs `message` with the pool's key, once there is a challenge."""

        def answered(challenge):
            opaque = trust.challenged(challenge.header("www-authenticate"))
            return trust.Signer(lab.estate.pools["pool01"].trust_key, opaque).signed(message)

        return answered

    def test_it_does_not_replace_the_registration(self, lab):
        subscribe = Message("SUBSCRIBE", "sip:alice@contoso.example", (*REGISTER, ("Event", "presence")))
        context = tls.connecting(lab.estate.directory, "pool01")
        answers = lab.run(ask(lab, context, register(), self.signed(lab, subscribe)))
        assert [answer.status for answer in answers] == [401, 403]

    def test_it_is_good_for_the_user_it_was_made_for_only(self, lab):
        as_bob = Message(
            "REGISTER",
            "sip:contoso.example",
            (("From", "<sip:bob@contoso.example>;tag=1"), ("To", "<sip:bob@contoso.example>"), *REGISTER[2:]),
        )
        context = tls.connecting(lab.estate.directory, "pool01")
        answers = lab.run(ask(lab, context, register(), self.signed(lab, as_bob)))
        assert [answer.status for answer in answers] == [401, 401]
        assert endpoints(lab, "bob@contoso.example") == ()
