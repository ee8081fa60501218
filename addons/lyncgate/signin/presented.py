"""What a server presented in its TLS handshake, and what a phone would say to that.

Pure: DER, names and the time come in. A capture and a probe connect whatever the certificate is like, and
let this say what is wrong with it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from lyncgate.policy.certificates import covers, dns_names, issued, named
from lyncgate.signin.events import Certificate
from lyncgate.signin.plain import plain

NAMES = 40
_LONGEST_CHAIN = 10

type Problem = Literal["name", "expired", "not_yet", "chain", "self_signed"]


@dataclasses.dataclass(frozen=True, slots=True)
class Presented:
    """`problem`: the first one that a strict client finds; `detail` says it to a person."""

    certificate: Certificate
    problem: Problem | None = None
    detail: str = ""


def presented(chain: Sequence[bytes], host: str | None, anchors: Sequence[bytes], now: float) -> Presented:
    """Look at the certificates that a server sent, its own first.

    `chain`, `anchors`: DER; the anchors are the authorities that are trusted. `host`: the name that the
    client asked for, lower case; None: it named none, and the names can't be judged. `now`: Unix seconds.
    Raises ValueError: the first certificate can't be read.
    """
    certificates = [x509.load_der_x509_certificate(chain[0])]
    for der in chain[1:_LONGEST_CHAIN]:
        try:
            certificates.append(x509.load_der_x509_certificate(der))
        except ValueError:  # an odd one counts as not sent
            continue
    leaf = certificates[0]
    trusted, complete, chain_detail = _chain(certificates, anchors)
    names = dns_names(leaf)
    seen = Certificate(
        names=tuple(plain(name) for name in names[:NAMES]),
        issuer=plain(leaf.issuer.rfc4514_string()),
        not_before=leaf.not_valid_before_utc.timestamp(),
        not_after=leaf.not_valid_after_utc.timestamp(),
        chain=len(chain),
        complete=complete,
    )
    if now < seen.not_before:
        return Presented(seen, "not_yet", "the certificate is not valid yet")
    if now > seen.not_after:
        return Presented(seen, "expired", "the certificate has expired")
    if host is not None and not covers(names, host):
        return Presented(seen, "name", f"the certificate is not for {plain(host)}")
    if not trusted:
        return Presented(seen, "self_signed" if complete else "chain", chain_detail)
    return Presented(seen)


def _chain(chain: Sequence[x509.Certificate], anchors: Sequence[bytes]) -> tuple[bool, bool, str]:
    """Whether the chain ends in an anchor; whether it ends in a root at all; what is wrong, in words."""
    here = chain[0]
    for _ in range(_LONGEST_CHAIN):
        if here.public_bytes(serialization.Encoding.DER) in anchors:
            return True, True, ""
        if issued(here, here):
            who = "itself" if here is chain[0] else f"an authority that is not trusted here: {_name(here)}"
            return False, True, f"the certificate is signed by {who}"
        issuer = next((one for one in (*chain, *named(here.issuer, anchors)) if issued(one, here)), None)
        if issuer is None:
            missing = plain(here.issuer.rfc4514_string())
            return False, False, f"the chain lacks the certificate of {missing}"
        here = issuer
    return False, False, f"the chain is longer than {_LONGEST_CHAIN} certificates"


def _name(certificate: x509.Certificate) -> str:
    return plain(certificate.subject.rfc4514_string())
