"""Certificates: chains that end in the file, in a root beside it, in the system's trust, or nowhere."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from lyncgate.policy.certificates import covers, der_blocks, dns_names, inspect
from policy import pki

FILES = pki.files()


def messages(
    cert: bytes, key: bytes | None = None, *, root: bytes | None = None, trust: bytes = b""
) -> list[str]:
    findings = inspect(cert, key, root=root, anchors=der_blocks(trust), now=pki.NOW).findings
    return [f"{finding.part}: {finding.message}" for finding in findings]


def test_a_good_one_with_its_whole_chain() -> None:
    inspection = inspect(FILES["good.pem"], FILES["good.key"], root=None, anchors=(), now=pki.NOW)
    assert inspection.findings == ()
    assert inspection.names == pki.NAMES
    assert inspection.not_after == pki.NOW + 365 * pki.DAY


@pytest.mark.parametrize("where", ["root", "trust"])
def test_the_root_may_be_beside_the_chain_or_in_the_system(where: str) -> None:
    assert "lacks its chain" in messages(FILES["middle.pem"])[0]
    roots: dict[str, bytes] = {where: b"junk\n" + FILES["root.pem"]}
    assert messages(FILES["middle.pem"], **roots) == []  # type: ignore[arg-type]  # one of two bytes keywords


def test_a_trusted_root_does_not_stand_in_for_the_intermediate() -> None:
    # This is what works in a browser that fetches intermediates and in no phone (F05).
    (message,) = messages(FILES["no-chain.pem"], trust=FILES["root.pem"])
    assert "CN=Contoso Issuing CA" in message


def test_a_namesake_of_the_issuer_does_not_end_the_chain() -> None:
    impostor, _ = pki.make("Contoso Issuing CA", None, names=(), usages=(), authority=True)
    assert "lacks its chain" in messages(FILES["no-chain.pem"] + pki.pem(impostor))[0]


def test_issuers_in_a_ring_end() -> None:
    first, first_key = pki.make("ring A", None, authority=True)
    second = pki.make("ring B", (first, first_key), authority=True)
    again = pki.make("ring A", second, key=first_key, authority=True)
    leaf, _ = pki.make("edge", (again[0], first_key))
    assert any("chain of over" in message for message in messages(pki.pem(leaf, again[0], second[0])))


@pytest.mark.parametrize("junk", [b"", b"hello", FILES["good.pem"][:200], FILES["expired.key"]])
def test_junk_is_a_finding(junk: bytes) -> None:
    assert messages(junk)[0].startswith("cert: found no PEM certificate")
    assert messages(FILES["good.pem"], junk)[0].startswith("key: ")


def test_several_purposes_are_fine_when_servers_are_among_them() -> None:
    both = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH)
    certificate, _ = pki.make("edge", None, usages=both)
    assert messages(pki.pem(certificate)) == ["cert: signed itself; clients outside will not trust it"]


def test_names_are_lower_case_and_from_the_alternatives_only() -> None:
    certificate, _ = pki.make(
        "common.contoso.example", None, names=("Meet.Contoso.Example", "*.contoso.example")
    )
    assert dns_names(certificate) == ("meet.contoso.example", "*.contoso.example")


@pytest.mark.parametrize(
    ("names", "host", "covered"),
    [
        (("meet.contoso.example",), "meet.contoso.example", True),
        (("*.contoso.example",), "meet.contoso.example", True),
        (("*.contoso.example",), "a.b.contoso.example", False),
        (("*.contoso.example",), "contoso.example", False),
        (("*.contoso.example",), "*.contoso.example", True),
        (("meet.contoso.example",), "*.contoso.example", False),
        ((), "meet.contoso.example", False),
    ],
)
def test_covers(names: tuple[str, ...], host: str, covered: bool) -> None:
    assert covers(names, host) is covered


def test_bundles_are_split_without_a_look_inside() -> None:
    certificates = x509.load_pem_x509_certificates(FILES["good.pem"])
    bundle = (
        b"# comment\n" + FILES["good.pem"] + b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"
    )
    assert len(der_blocks(bundle)) >= len(certificates)
