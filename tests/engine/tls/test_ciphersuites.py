"""Which cipher suite of TLS 1.3 is taken."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from lyncgate.engine.tls.ciphersuites import prefer_light_suites
from lyncgate.engine.tls.libssl import context_pointer, libssl
from support import certificates
from support.edge import edge, policy
from support.origin import members


@pytest.mark.engines("lane")
@pytest.mark.parametrize(
    ("offered", "taken"),
    [
        (None, "TLS_AES_128_GCM_SHA256"),
        ("TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384"),
        ("TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256"),
    ],
)
def test_the_light_one_is_taken_and_the_others_where_nothing_else_is_offered(
    offered: str | None, taken: str
) -> None:
    async def check() -> None:
        tls = certificates.client()
        if offered:
            library, pointer = libssl(), context_pointer(tls)
            assert library
            assert pointer
            assert library.set_cipher_suites(pointer, offered.encode()) == 1
        async with members(1) as origins, edge(policy(origins)) as it, it.https(tls=tls) as client:
            assert (client.tls.cipher() or ())[0] == taken

    asyncio.run(check())


def test_it_says_whether_it_could() -> None:
    assert prefer_light_suites(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
