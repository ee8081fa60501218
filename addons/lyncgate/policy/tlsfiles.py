"""The PEM files that rules.yaml names: read, inspected, and compared with the names that are public."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping

from lyncgate.policy.certificates import covers, der_blocks, inspect
from lyncgate.policy.compile import absolute
from lyncgate.policy.model import CertificateRules, Rules
from lyncgate.policy.policy import CertificateFiles, Discover, Scheme
from lyncgate.policy.problem import Key, Report, listed

type Read = Callable[[str], bytes]  # path → content; OSError if there is none
type Shown = Mapping[str, tuple[CertificateFiles, ...]]  # what each listener shows

_MOST_NAMES = 10  # of a certificate, in one message


class Files:
    """Reads files beside rules.yaml, and remembers which, for the watcher and the policy's version."""

    def __init__(self, read: Read, directory: str) -> None:
        self.paths: list[str] = []
        self.directory = directory
        self.digest = hashlib.sha256()
        self._read = read

    def get(self, name: str) -> bytes:
        """Raises OSError."""
        path = absolute(self.directory, name)
        self.paths.append(path)
        content = self._read(path)
        self.digest.update(content)
        return content

    def want(self, name: str, key: Key, report: Report) -> bytes | None:
        """None, and a problem, if it can't be read."""
        try:
            return self.get(name)
        except OSError as error:
            why = error.strerror or str(error) or "not readable"
            report.error(key, f"found {name}: {why}; allowed: a file that lyncgate can read")
            return None


def read_certificates(rules: Rules, report: Report, files: Files, *, anchors: bytes, now: float) -> Shown:
    """What each listener shows; a certificate that can't be read is left out."""
    trusted = der_blocks(anchors)
    shown: dict[str, tuple[CertificateFiles, ...]] = {}
    for name, listener in rules.listeners.items():
        certificates = []
        for index, rule in enumerate(listener.certificates):
            where: Key = ("listeners", name, "certificates", index)
            pem = {part: _part(rule, part, where, report, files) for part in ("cert", "key", "root")}
            if pem["cert"] is None:
                continue
            inspection = inspect(pem["cert"], pem["key"], root=pem["root"], anchors=trusted, now=now)
            for finding in inspection.findings:
                tell = report.error if finding.fatal else report.warning
                tell((*where, finding.part), f"{getattr(rule, finding.part)}: {finding.message}")
            paths = absolute(files.directory, rule.cert), absolute(files.directory, rule.key)
            certificates.append(CertificateFiles(*paths, inspection.names, inspection.not_after))
        shown[name] = tuple(certificates)
    return shown


def _part(rule: CertificateRules, part: str, where: Key, report: Report, files: Files) -> bytes | None:
    name = getattr(rule, part)
    return None if name is None else files.want(name, (*where, part), report)


def check_authorities(rules: Rules, report: Report, files: Files) -> None:
    """The authorities that the pools' certificates must come from."""
    for name, pool in rules.pools.items():
        if pool.tls.ca is None:
            continue
        key: Key = ("pools", name, "tls", "ca")
        pem = files.want(pool.tls.ca, key, report)
        if pem is not None and not der_blocks(pem):
            report.error(key, f"{pool.tls.ca}: found no PEM certificate; allowed: the authority's")


def check_names(rules: Rules, shown: Shown, report: Report) -> None:
    """Every public name is in some certificate: else clients of that name get no further than TLS."""
    secure = [name for name, listener in rules.listeners.items() if listener.protocol is Scheme.HTTPS]
    if not secure or any(len(shown[name]) < len(rules.listeners[name].certificates) for name in secure):
        return  # no TLS at all, or names that we could not read: said already
    names = [name for each in secure for certificate in shown[each] for name in certificate.names]
    if not names:
        return  # said already, of the certificates
    known = listed([*names[:_MOST_NAMES], "…"] if len(names) > _MOST_NAMES else names)
    for key, host in _public_names(rules):
        if not covers(names, host):
            report.error(key, f"found {host}, which no certificate covers; allowed: {known}")
    for domain, rule in rules.lync.domains.items():
        host = f"lyncdiscover.{domain}"
        if covers(names, host):
            continue
        key = ("lync", "domains", domain)
        plain = any(listener.protocol is Scheme.HTTP for listener in rules.listeners.values())
        if plain and rule.lyncdiscover.http is not Discover.REDIRECT:
            report.warning(
                key, f"no certificate covers {host}, so discovery works on port 80 only (F03, F11)"
            )
        else:
            report.error(
                key, f"no certificate covers {host}; allowed: one that does, or discovery on port 80 (F11)"
            )


def _public_names(rules: Rules) -> Iterator[tuple[Key, str]]:
    """Names that are published over HTTPS."""
    for index, publication in enumerate(rules.publications):
        pool = rules.pools.get(publication.pool)
        if pool and publication.bridge.over(pool.bridge).https.port == "off":
            continue
        for number, host in enumerate(publication.hosts):
            yield ("publications", index, "hosts", number), host
