"""What a server shows of itself."""

from __future__ import annotations

import asyncio
import dataclasses
import ssl
from pathlib import Path
from typing import Any

import pytest

from lyncgate.engine.tls.chains import SSL_CTRL_MODE, SSL_MODE_NO_AUTO_CHAIN, show_what_is_given
from lyncgate.engine.tls.libssl import context_pointer, libssl
from support import certificates
from support.edge import WEB, edge, policy, with_listener
from support.origin import members


def test_nothing_is_looked_for_from_then_on() -> None:
    library, context = libssl(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pointer = context_pointer(context)
    assert library
    assert pointer
    before = library.control(pointer, SSL_CTRL_MODE, 0, None)
    assert not before & SSL_MODE_NO_AUTO_CHAIN
    assert show_what_is_given(context)
    assert library.control(pointer, SSL_CTRL_MODE, 0, None) == before | SSL_MODE_NO_AUTO_CHAIN


@pytest.mark.engines("lane")
def test_the_whole_chain_of_the_file_is_shown(tmp_path: Path) -> None:
    own = certificates.issued(WEB)
    chain = tmp_path / "chain.pem"
    chain.write_bytes(Path(own.cert).read_bytes() + Path(certificates.ca_file()).read_bytes())

    async def shown(cert: str) -> int:
        async with members(1) as origins:
            files = dataclasses.replace(own, cert=cert)
            rules = with_listener(policy(origins), "https", certificates=(files,))
            async with edge(rules) as it, it.https(WEB) as client:
                inner: Any = client.tls
                return len(inner._sslobj.get_unverified_chain())

    assert asyncio.run(shown(own.cert)) == 1
    assert asyncio.run(shown(str(chain))) == 2
