"""A lab with a fault, and ways to look at it from outside."""

import asyncio
import re
import socket
import ssl
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography import x509

from lab.client import Client
from lyncgate.client.dns import Reply as DnsReply
from lyncgate.client.dns import ask
from lyncgate.client.http import HttpConnection, Reply
from lyncgate.client.names import Address, NameMap, NameRule
from lyncgate.lab import authority
from lyncgate.lab.dns.estate import View
from lyncgate.lab.faults.badproxy import DOOR, BadProxy
from lyncgate.lab.faults.fault import Fault
from lyncgate.lab.phones.devices import DEVICES
from lyncgate.lab.report import SignInReport
from support.estate import RunningEstate


@dataclass
class Bench:
    """`fault`: the one that the lab was started with."""

    lab: RunningEstate
    fault: Fault

    @property
    def client(self) -> Client:
        """Asks by public names, certificates checked; by the bad proxy where there is one."""
        return Client(self.lab)

    @property
    def door(self) -> BadProxy:
        """The bad proxy."""
        return self.lab.estate.proxies[DOOR]

    def anyhow(self, where: Address, method: str, url: str, **headers: str) -> Reply:
        """A request to an address, whatever its certificate says."""
        scheme, _, rest = url.partition("://")
        host, _, path = rest.partition("/")
        tls = anybody() if scheme == "https" else None

        async def exchange() -> Reply:
            connection = await HttpConnection.open(host, 443, NameMap((NameRule("*", None, where),)), tls)
            try:
                return await connection.request(method, f"/{path}", list(headers.items()))
            finally:
                await connection.close()

        return self.lab.run(exchange())

    def connect(self, where: Address, host: str) -> ssl.SSLSocket:
        """TLS for `host`, whatever certificate is shown."""
        return anybody().wrap_socket(socket.create_connection(where), server_hostname=host)

    def certificate(self, where: Address, host: str) -> x509.Certificate:
        """What is shown for `host` there."""
        with self.connect(where, host) as secure:
            return x509.load_der_x509_certificate(secure.getpeercert(binary_form=True) or b"")

    def tls_error(self, where: Address, host: str) -> str:
        """Why a client that checks certificates ends the handshake."""
        tls = authority.client_context(self.lab.estate.directory)
        with socket.create_connection(where) as sock:
            try:
                tls.wrap_socket(sock, server_hostname=host).close()
            except ssl.SSLCertVerificationError as error:
                return error.verify_message
        return ""

    def look_up(self, name: str, kind: str = "A", view: View = View.EXTERNAL) -> DnsReply:
        """What DNS says."""

        async def look() -> DnsReply:
            if not self.lab.estate.dns:
                await self.lab.estate.start_dns()
            return await ask(self.lab.estate.dns[view].address, name, kind)

        return self.lab.run(look())

    def sign_in(self, user: str | None = None, *, by_dns: bool = False) -> SignInReport:
        """A sign-in of the fault's device."""
        user = user or self.fault.user
        estate = self.lab.estate

        async def sign_in() -> SignInReport:
            if by_dns and not estate.dns:
                await estate.start_dns()
            names = estate.resolver(View.EXTERNAL) if by_dns else estate.names_without_edge()
            phone = DEVICES[self.fault.device](
                user,
                f"P4ss-{user.partition('@')[0]}",
                names=names,
                tls=authority.client_context(estate.directory),
                poll_timeout=30,
            )
            async with asyncio.timeout(20):
                return await phone.sign_in()

        return self.lab.run(sign_in())

    def check_phone(self) -> None:
        """Its sign-in ends where the catalogue says."""
        report, stage = self.sign_in(), self.fault.stage
        failed = [(step.stage, step.detail) for step in report.steps if not step.ok]
        assert report.ok == (stage is None), failed
        assert stage is None or stage in [where for where, _ in failed], failed


def names_of(certificate: x509.Certificate) -> list[str]:
    """DNS names in a certificate."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return names.value.get_values_for_type(x509.DNSName)


def symptoms(module: Mapping[str, Any]) -> dict[str, Callable[[Bench], None]]:
    """The checks of a module, `f01` and so on, by code."""
    return {name.upper(): check for name, check in module.items() if re.fullmatch(r"f\d\d", name)}


def anybody() -> ssl.SSLContext:
    """A client that checks no certificate."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    return tls


def old_client() -> ssl.SSLContext:
    """A client that knows TLS 1.0 and nothing newer; it checks no certificate."""
    tls = anybody()
    tls.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        tls.minimum_version = tls.maximum_version = ssl.TLSVersion.TLSv1
    return tls
