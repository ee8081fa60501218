"""What a server's certificates say, judged as a strict client judges them."""

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lyncgate.signin.presented import Presented, presented

HOST = "lyncdiscover.contoso.example"
BEGIN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
END = datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC)
NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC).timestamp()
Key = ec.EllipticCurvePrivateKey


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def certificate(subject: str, key: Key, issuer: str, by: Key, names: tuple[str, ...] = ()) -> bytes:
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(BEGIN)
        .not_valid_after(END)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
    return builder.sign(by, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


ROOT_KEY, MIDDLE_KEY, KEY = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
ROOT = certificate("Root", ROOT_KEY, "Root", ROOT_KEY)
MIDDLE = certificate("Middle", MIDDLE_KEY, "Root", ROOT_KEY)
LEAF = certificate("proxy", KEY, "Middle", MIDDLE_KEY, ("*.contoso.example", "contoso.example"))
ALONE = certificate("proxy", KEY, "proxy", KEY, (HOST,))
FORGED = certificate("proxy", KEY, "Middle", KEY, (HOST,))  # the issuer's name, and not its signature


def judged(
    *chain: bytes, host: str | None = HOST, anchors: tuple[bytes, ...] = (ROOT,), now: float = NOW
) -> Presented:
    return presented(chain, host, anchors, now)


def test_a_good_chain_is_good() -> None:
    seen = judged(LEAF, MIDDLE)
    assert seen.problem is None
    assert seen.detail == ""
    assert seen.certificate.names == ("*.contoso.example", "contoso.example")
    assert seen.certificate.issuer == "CN=Middle"
    assert (seen.certificate.not_before, seen.certificate.not_after) == (BEGIN.timestamp(), END.timestamp())
    assert (seen.certificate.chain, seen.certificate.complete) == (2, True)
    assert judged(LEAF, MIDDLE, ROOT).problem is None
    assert judged(LEAF, anchors=(MIDDLE,)).problem is None


@pytest.mark.parametrize(
    ("seen", "problem", "complete", "said"),
    [
        (judged(LEAF), "chain", False, "the chain lacks the certificate of CN=Middle"),
        (judged(FORGED, MIDDLE), "chain", False, "lacks"),
        (judged(LEAF, ROOT), "chain", False, "CN=Middle"),
        (judged(ALONE), "self_signed", True, "signed by itself"),
        (
            judged(LEAF, MIDDLE, ROOT, anchors=()),
            "self_signed",
            True,
            "an authority that is not trusted here: CN=Root",
        ),
        (judged(LEAF, MIDDLE, host="lync.fabrikam.example"), "name", True, "not for lync.fabrikam.example"),
        (judged(LEAF, MIDDLE, host="a.b.contoso.example"), "name", True, "not for"),
        (judged(LEAF, MIDDLE, now=END.timestamp() + 1), "expired", True, "expired"),
        (judged(LEAF, MIDDLE, now=BEGIN.timestamp() - 1), "not_yet", True, "not valid yet"),
    ],
)
def test_what_is_wrong_is_said(seen: Presented, problem: str, complete: bool, said: str) -> None:
    assert (seen.problem, seen.certificate.complete) == (problem, complete)
    assert said in seen.detail


def test_without_a_name_only_the_rest_is_judged() -> None:
    assert judged(LEAF, MIDDLE, host=None).problem is None


def test_what_is_no_certificate_raises_or_counts_as_not_sent() -> None:
    with pytest.raises(ValueError):
        judged(b"nothing")
    assert judged(LEAF, b"nothing").problem == "chain"
    assert judged(LEAF, b"nothing", MIDDLE).problem is None


def test_names_are_bounded() -> None:
    many = certificate("proxy", KEY, "Middle", MIDDLE_KEY, tuple(f"n{n}.contoso.example" for n in range(100)))
    seen = judged(many, MIDDLE, host="n99.contoso.example")
    assert len(seen.certificate.names) == 40
    assert seen.problem is None
