"""What is known to break Lync is refused, with the reason.

Each of these looks harmless, is the default of some other proxy, and costs hours to find from its
symptom. "§" is a section of the protocol reference, "F" a finding of its failure catalogue (§10).
"""

from __future__ import annotations

from collections.abc import Iterator

from lyncgate.policy.model import Rules
from lyncgate.policy.policy import Discover, Scheme
from lyncgate.policy.poolmodel import BridgeOverride, BridgeRules, BridgeTarget
from lyncgate.policy.problem import Key, Report, show_value

# Ports of the two web sites of a front end (§9.1): the port is how it tells outside from inside.
EXTERNAL = {Scheme.HTTP: 8080, Scheme.HTTPS: 4443}
INTERNAL = {Scheme.HTTP: 80, Scheme.HTTPS: 443}


def check_bridges(rules: Rules, report: Report) -> None:
    """TLS offload, and the internal site shown to the internet."""
    for key, bridge, of_pool in _bridges(rules):
        for scheme, target in ((Scheme.HTTP, bridge.http), (Scheme.HTTPS, bridge.https)):
            if target:
                _check_target(report, (*key, scheme.value), scheme, target, of_pool=of_pool)


def _bridges(rules: Rules) -> Iterator[tuple[Key, BridgeRules | BridgeOverride, bool]]:
    for name, pool in rules.pools.items():
        yield ("pools", name, "bridge"), pool.bridge, True
    for index, publication in enumerate(rules.publications):
        yield ("publications", index, "bridge"), publication.bridge, False


def _check_target(report: Report, key: Key, scheme: Scheme, target: BridgeTarget, *, of_pool: bool) -> None:
    other = Scheme.HTTP if scheme is Scheme.HTTPS else Scheme.HTTPS
    right = EXTERNAL[scheme] if of_pool else INTERNAL[scheme]
    if target.protocol not in (None, scheme):
        why = "this would be TLS offload, which Lync does not support (§9.2)"
        if scheme is Scheme.HTTP:
            why = "the pool's answers depend on the scheme it is asked with (§9.1, §2.1)"
        report.error((*key, "protocol"), f"found {target.protocol}; allowed: {scheme}; {why}")
    elif target.port in (EXTERNAL[other], INTERNAL[other]):
        why = "http cannot be spoken to a TLS port (§9.1)"
        if scheme is Scheme.HTTPS:
            why = "this would be TLS offload, which Lync does not support (§9.2)"
        report.error(key, f"found {target.port}; allowed: {right}; {why}")
    elif of_pool and target.port == INTERNAL[scheme]:
        report.error(
            key,
            f"found {target.port}; allowed: {right}; {target.port} is the pool's internal site, which hands "
            "internal names to clients outside (§9.1, F07). Office Web Apps is bridged so, in its "
            "publication",
        )


def check_publications(rules: Rules, report: Report) -> None:
    """The Host that clients sent must arrive, and so must their NTLM."""
    for index, publication in enumerate(rules.publications):
        key = ("publications", index)
        if publication.host != "keep":
            report.error(
                (*key, "host"),
                f"found {show_value(publication.host)}; allowed: keep; the pool chooses site and "
                "links by the "
                "public name, another one gives wrong pages (§9.3, F08)",
            )
        if publication.authentication != "pass-through":
            report.error(
                (*key, "authentication"),
                f"found {show_value(publication.authentication)}; allowed: pass-through; Lync clients "
                "fail at "
                "any pre-authentication (§9.6, F09)",
            )


def check_affinity(rules: Rules, report: Report) -> None:
    """The cookie has one form (§9.7)."""
    for name, pool in rules.pools.items():
        key, affinity = ("pools", name, "affinity"), pool.affinity
        if affinity.name != "MS-WSMAN":
            found = show_value(affinity.name)
            report.error(
                (*key, "name"), f"found {found}; allowed: MS-WSMAN; clients send back no other (§9.7)"
            )
        if affinity.http_only:
            report.error(
                (*key, "http_only"), "found true; allowed: false; the clients' code reads the cookie (§9.7)"
            )
        if affinity.expires != "never":
            report.error(
                (*key, "expires"),
                f"found {show_value(affinity.expires)}; allowed: never; a client whose cookie expires "
                "loses its member in mid-session (§9.7)",
            )


def check_listeners(rules: Rules, report: Report) -> None:
    for name, listener in rules.listeners.items():
        if listener.http2:
            report.error(
                ("listeners", name, "http2"),
                "found true; allowed: false; NTLM is bound to a connection and cannot work over "
                "HTTP/2 (§3.3, §9.6)",
            )


def check_upstream_tls(rules: Rules, report: Report) -> None:
    for name, pool in rules.pools.items():
        if not pool.tls.verify:
            report.error(
                ("pools", name, "tls", "verify"),
                "found false; allowed: true; passwords' hashes and tickets pass here. For a "
                "certificate of a private "
                "authority give tls.ca, for one certificate tls.pins",
            )


def check_lyncdiscover(rules: Rules, report: Report) -> None:
    """A redirect on port 80. SIPE follows none, and away from the domain nobody does."""
    for domain, rule in rules.lync.domains.items():
        if rule.lyncdiscover.http is not Discover.REDIRECT:
            continue
        key = ("lync", "domains", domain, "lyncdiscover", "http")
        if rule.web_services.endswith(f".{domain}"):
            report.warning(
                key,
                "found redirect; better: answer or forward; some clients follow no redirect here "
                "(§1.10, F10)",
            )
        else:
            report.error(
                key,
                f"found redirect; allowed: answer or forward; {rule.web_services} is outside "
                f"{domain}, and clients "
                "take a redirect to another domain for a failure (§1.6, F10)",
            )
