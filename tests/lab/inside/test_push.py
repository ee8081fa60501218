"""A notification's way: mobility service, front end, Access Edge, relay, device; and where it can end."""

import contextlib

import pytest

from lyncgate.lab import topology
from lyncgate.lab.inside import tls
from lyncgate.lab.inside.client import SipClient
from lyncgate.lab.inside.mobility import RegistrationError
from lyncgate.lab.inside.push import PROXY_URI, PushChannel
from lyncgate.lab.sipmessage import Message
from lyncgate.lab.topology import AccessLocation

NEWS = {"text": "bob: are you there?", "badge": 1}


@contextlib.asynccontextmanager
async def signed_in(lab, name="alice@contoso.example"):
    mcx = lab.estate._running["fe01"].inside.mcx
    user = lab.estate.people.by_sip(name)
    registered = await mcx.sign_in(user, location=AccessLocation.EXTERNAL, endpoint="phone-1")
    try:
        yield mcx, registered
    finally:
        await mcx.sign_out(registered)


def pushed(lab, token):
    """The status with which a push ends; None: delivered."""

    async def push():
        async with signed_in(lab) as (mcx, registered):
            try:
                await mcx.push(registered, token, NEWS)
            except RegistrationError as error:
                return error.status
        return None

    return lab.run(push())


def test_device_gets_what_was_sent(lab):
    async def exchange():
        async with (
            await PushChannel.open(lab.estate.push.device_address) as channel,
            await PushChannel.open(lab.estate.push.device_address) as other,
            signed_in(lab) as (mcx, registered),
        ):
            assert channel.token != other.token
            await mcx.push(registered, channel.token, NEWS)
            await mcx.push(registered, channel.token, {"text": "still there?"})
            return await channel.next(), await channel.next()

    assert lab.run(exchange()) == (NEWS, {"text": "still there?"})


def test_unknown_token_is_not_found(lab):
    assert pushed(lab, "0" * 32) == 404


def test_device_that_left_is_unavailable_and_may_come_back(lab):
    async def leave():
        async with await PushChannel.open(lab.estate.push.device_address) as channel:
            return channel.token

    async def come_back(token):
        async with (
            await PushChannel.open(lab.estate.push.device_address, token) as channel,
            signed_in(lab) as (mcx, registered),
        ):
            await mcx.push(registered, channel.token, NEWS)
            return channel.token, await channel.next()

    token = lab.run(leave())
    assert pushed(lab, token) == 480
    assert lab.run(come_back(token)) == (token, NEWS)


def test_relay_tells_strangers_nothing(lab):
    with pytest.raises(ConnectionRefusedError):
        lab.run(PushChannel.open(lab.estate.push.device_address, "f" * 32))


def test_relay_that_can_not_be_reached_is_a_server_time_out(lab):
    lab.run(lab.estate.push.stop())
    try:
        assert pushed(lab, "0" * 32) == 504
    finally:
        lab.run(lab.estate.push.start(lab.estate._plan.listen))
    assert pushed(lab, "0" * 32) == 404  # there again


def test_access_edge_that_is_down_is_a_server_time_out_too(lab):
    lab.run(lab.estate.kill("sip"))
    try:
        assert pushed(lab, "0" * 32) == 504
    finally:
        lab.run(lab.estate.start_member("sip"))
    assert pushed(lab, "0" * 32) == 404


@pytest.mark.parametrize(
    ("show", "name", "address"),
    [
        ("pool01", topology.PUSH_HOST, topology.PUSH_ADDRESS),  # must come by the Access Edge
        ("push", topology.SIP_HOST, topology.MEMBERS["sip"].address),  # comes from outside
    ],
)
def test_servers_take_push_from_those_they_know_only(lab, show, name, address):
    async def ask():
        client = await SipClient.open(
            (address, lab.estate.ports.sip_mtls),
            name,
            tls.connecting(lab.estate.directory, show),
            local="127.0.0.1",
        )
        try:
            return await client.ask(Message("MESSAGE", PROXY_URI, (("To", f"<{PROXY_URI}>"),), b"{}"))
        finally:
            await client.close()

    assert lab.run(ask()).status == 403


def test_message_to_a_domain_without_a_route_is_not_found(lab):
    async def ask():
        async with signed_in(lab) as (_, registered):
            with pytest.raises(RegistrationError) as refused:
                await registered.session.message("sip:zoe@fourthcoffee.example", "text/plain", b"hello")
            return refused.value.status

    assert lab.run(ask()) == 404
