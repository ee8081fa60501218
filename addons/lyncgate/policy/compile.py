"""The model → the Policy: names in canonical form, words to enums, relative file names made absolute.

Nothing is checked here: what comes in has no errors left.
"""

from __future__ import annotations

import os.path
from collections.abc import Mapping

from lyncgate.policy import model
from lyncgate.policy.journalmodel import FollowRules, JournalRules
from lyncgate.policy.policy import (
    AccessLog,
    Admin,
    Bridge,
    CertificateFiles,
    Followed,
    FollowedKind,
    Health,
    Instead,
    Journal,
    Limits,
    Listener,
    Member,
    Policy,
    Pool,
    Publication,
    SipDomain,
    Timeouts,
    UpstreamTls,
    UserRoute,
)
from lyncgate.policy.poolmodel import BridgeRules, PoolRules
from lyncgate.policy.scalars import path_prefix
from lyncgate.policy.timeoutmodel import ListenerTimeoutRules, PublicationTimeoutRules


def compile_rules(
    rules: model.Rules,
    *,
    version: str,
    directory: str,
    certificates: Mapping[str, tuple[CertificateFiles, ...]],
) -> Policy:
    """`certificates`: by listener, as they were read. `directory`: that of rules.yaml."""
    return Policy(
        version=version,
        domains={name: _domain(name, rule) for name, rule in rules.lync.domains.items()},
        users=tuple(UserRoute(u.match.lower(), u.web_services, u.pool) for u in rules.lync.users),
        listeners={
            name: _listener(name, rule, certificates.get(name, ())) for name, rule in rules.listeners.items()
        },
        pools={
            name: _pool(name, rule, _health_host(rules, name), directory)
            for name, rule in rules.pools.items()
        },
        publications=tuple(_publication(rule, rules.pools[rule.pool].bridge) for rule in rules.publications),
        limits=Limits(rules.limits.head, rules.limits.headers, rules.limits.url),
        timeouts=Timeouts(**dict(rules.timeouts)),  # dict: the values; model_dump: as written
        access_log=_access_log(rules.access_log, directory),
        admin=Admin(unless(rules.admin.bind, "off"), tuple(rules.admin.hosts)),
        journal=_journal(rules.journal, directory),
        workers=unless(rules.workers, "auto"),
    )


def absolute(directory: str, name: str) -> str:
    """A file named in rules.yaml, relative to it."""
    return os.path.normpath(os.path.join(directory, name))  # noqa: PTH118 (pathlib does I/O; this is text)


def unless[T](value: T | str, word: str) -> T | None:
    """None for the word (`off`, `none`)."""
    return None if value == word else value  # type: ignore[return-value]  # text is only ever the word


def _domain(name: str, rule: model.DomainRules) -> SipDomain:
    return SipDomain(name, rule.web_services, rule.pool, rule.lyncdiscover.http, rule.lyncdiscover.https)


def _listener(name: str, rule: model.ListenerRules, certificates: tuple[CertificateFiles, ...]) -> Listener:
    redirect = rule.redirect or model.RedirectRules()
    hsts = unless(rule.hsts, "off")
    return Listener(
        name,
        rule.protocol,
        tuple(rule.bind),
        redirect=rule.redirect is not None,
        redirect_status=redirect.status,
        certificates=certificates,
        hsts=None if hsts is None else int(hsts),
        trusted_proxies=tuple(rule.trusted_proxies),
        timeouts=_instead(rule.timeouts),
    )


def _pool(name: str, rule: PoolRules, health_host: str | None, directory: str) -> Pool:
    tls, health = rule.tls, rule.health
    return Pool(
        name,
        tuple(Member(member.name or member.host, member.host, member.drain) for member in rule.members),
        bridge=_bridge(rule.bridge),
        tls=UpstreamTls(absolute(directory, tls.ca) if tls.ca else None, tls.name, frozenset(tls.pins)),
        affinity=rule.affinity.type,
        balance=rule.balance,
        health=Health(
            tcp=unless(health.tcp, "off"),
            https=unless(health.https, "off"),
            every=health.every,
            timeout=health.timeout,
            fall=health.fall,
            rise=health.rise,
            slow_start=health.slow_start,
        ),
        health_host=health_host,
        max_connections=rule.max_connections,
    )


def _bridge(rule: BridgeRules) -> Bridge:
    return Bridge(unless(rule.http.port, "off"), unless(rule.https.port, "off"))


def _health_host(rules: model.Rules, pool: str) -> str | None:
    """A public name that the pool answers to, for its HTTPS check: published, else of a SIP domain."""
    for publication in rules.publications:
        if publication.pool == pool:
            for host in publication.hosts:
                if not host.startswith("*."):
                    return host
    routes: list[model.DomainRules | model.UserRules] = [*rules.lync.domains.values(), *rules.lync.users]
    for rule in routes:
        if rule.pool == pool:
            return rule.web_services
    return None


def _publication(rule: model.PublicationRules, of_pool: BridgeRules) -> Publication:
    return Publication(
        rule.name,
        tuple(rule.hosts),
        rule.pool,
        paths=tuple(path_prefix(path) for path in rule.paths),
        excluded=tuple(path_prefix(path) for path in rule.except_),
        methods=frozenset(rule.methods),
        sources=tuple(rule.sources),
        bridge=_bridge(rule.bridge.over(of_pool)) if rule.bridge.model_fields_set else None,
        body_limit=unless(rule.body_limit, "none"),
        timeouts=_instead(rule.timeouts),
    )


def _instead(rule: ListenerTimeoutRules | PublicationTimeoutRules) -> Instead | None:
    return Instead(**dict(rule)) if rule.model_fields_set else None


def _access_log(rule: model.AccessLogRules, directory: str) -> AccessLog:
    if rule.path in ("-", "off"):
        return AccessLog("-" if rule.path == "-" else None, rule.format)
    return AccessLog(absolute(directory, rule.path), rule.format)


def _journal(rule: JournalRules, directory: str) -> Journal:
    return Journal(
        path=absolute(directory, rule.path) if rule.path else None,
        size=rule.size,
        age=rule.age,
        pseudonyms=rule.pseudonyms,
        follow=tuple(_followed(follow, directory) for follow in rule.follow),
    )


def _followed(rule: FollowRules, directory: str) -> Followed:
    kind = FollowedKind.DNS if rule.dns else FollowedKind.TRACE
    return Followed(kind, absolute(directory, rule.dns or rule.trace or ""), rule.server)
