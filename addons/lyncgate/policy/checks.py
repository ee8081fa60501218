"""Cross-checks: what each part of rules.yaml may say alone, and may not say together.

Each function looks at the sections that `load.CHECKS` names for it, so that it runs as soon as those are
sound, whatever is wrong elsewhere.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence

from lyncgate.policy.model import PublicationRules, Rules
from lyncgate.policy.policy import Discover, Scheme
from lyncgate.policy.problem import Key, Report, did_you_mean, listed, show_value
from lyncgate.policy.scalars import path_prefix, show_bind, show_duration

# What metrics call decisions that no publication made; a publication of that name would blur them.
_RESERVED = ("lyncdiscover", "redirect")


def check_listeners(rules: Rules, report: Report) -> None:
    """Each listener has what its protocol needs, and nothing that it can't use."""
    if not rules.listeners:
        report.error(("listeners",), "found none; allowed: at least one listener")
    secure = any(listener.protocol is Scheme.HTTPS for listener in rules.listeners.values())
    for name, listener in rules.listeners.items():
        key = ("listeners", name)
        if listener.protocol is Scheme.HTTPS:
            if not listener.certificates:
                report.error(key, "found no certificates; allowed: at least one for protocol https")
            if listener.redirect:
                report.error((*key, "redirect"), "found on an https listener; allowed: on http listeners")
            continue
        if listener.certificates:
            report.error((*key, "certificates"), "found on an http listener; allowed: on https listeners")
        if listener.hsts != "off":
            report.error(
                (*key, "hsts"), "found on an http listener; allowed: on https listeners (RFC 6797 §7.2)"
            )
        if listener.redirect and not secure:
            report.error(
                (*key, "redirect"),
                "found without an https listener to go to; allowed: beside an https listener",
            )


def check_binds(rules: Rules, report: Report) -> None:
    """No two sockets at one address and port."""
    taken: list[tuple[tuple[str, int], str]] = []
    for bind, key, who in _binds(rules):
        host, port = bind
        clash = next((owner for other, owner in taken if port and _same_socket(bind, other)), None)
        if clash:
            report.error(
                key, f"found {show_bind(bind)}; allowed: an address and port that {clash} does not use"
            )
        taken.append((bind, who))
        if who == "admin" and not ipaddress.ip_address(host).is_loopback:
            report.warning(
                key, f"found {show_bind(bind)}; better: 127.0.0.1; metrics name members and certificates"
            )


def _binds(rules: Rules) -> Iterator[tuple[tuple[str, int], Key, str]]:
    # The admin listener first: its address may be a default, which has no place in the file to point at.
    if rules.admin.bind != "off":
        yield rules.admin.bind, ("admin", "bind"), "admin"
    for name, listener in rules.listeners.items():
        for index, bind in enumerate(listener.bind):
            yield bind, ("listeners", name, "bind", index), f"listener {name}"


def _same_socket(one: tuple[str, int], other: tuple[str, int]) -> bool:
    first, second = ipaddress.ip_address(one[0]), ipaddress.ip_address(other[0])
    same_family = first.version == second.version
    return (
        one[1] == other[1]
        and same_family
        and (first == second or first.is_unspecified or second.is_unspecified)
    )


def check_pools(rules: Rules, report: Report) -> None:
    """A pool has members that can be told apart, and notices when one dies."""
    for name, pool in rules.pools.items():
        key = ("pools", name)
        if not pool.members:
            report.error((*key, "members"), "found none; allowed: at least one front end")
        names: set[str] = set()
        hosts: set[str] = set()
        for index, member in enumerate(pool.members):
            called = member.name or member.host
            if called in names:
                report.error(
                    (*key, "members", index), f"found {show_value(called)} again; allowed: each name once"
                )
            elif member.host in hosts:
                report.error(
                    (*key, "members", index),
                    f"found {show_value(member.host)} again; allowed: each host once",
                )
            names.add(called)
            hosts.add(member.host)
        if pool.members and all(member.drain for member in pool.members):
            report.warning((*key, "members"), "every member is drained, so the pool takes no new requests")
        health = pool.health
        if health.tcp == "off" and health.https == "off":
            report.warning(
                (*key, "health"), "both checks are off, so only failing requests show a dead member"
            )
        if health.timeout > health.every:
            report.error(
                (*key, "health", "timeout"),
                f"found {show_duration(health.timeout)}; allowed: at most health.every, "
                f"{show_duration(health.every)}",
            )


def check_pool_names(rules: Rules, report: Report) -> None:
    """Every pool that is named exists, and every pool that exists is named."""
    used: set[str] = set()
    for key, name in _pool_names(rules):
        used.add(name)
        if name not in rules.pools:
            hint = did_you_mean(name, rules.pools)
            report.error(key, f"found unknown pool {show_value(name)}; {hint}allowed: {listed(rules.pools)}")
    for name in rules.pools:
        if name not in used and used <= rules.pools.keys():  # else it may be the one that was meant
            report.warning(("pools", name), "no publication and no SIP domain uses this pool")


def _pool_names(rules: Rules) -> Iterator[tuple[Key, str]]:
    for index, publication in enumerate(rules.publications):
        yield ("publications", index, "pool"), publication.pool
    for domain, rule in rules.lync.domains.items():
        yield ("lync", "domains", domain, "pool"), rule.pool
    for index, user in enumerate(rules.lync.users):
        yield ("lync", "users", index, "pool"), user.pool


def check_publication_names(rules: Rules, report: Report) -> None:
    first: set[str] = set()
    for index, publication in enumerate(rules.publications):
        key, name = ("publications", index, "name"), publication.name
        if name in first:
            report.error(key, f"found {show_value(name)} again; allowed: each name once")
        if name in _RESERVED:
            report.error(
                key, f"found {show_value(name)}; allowed: another name, metrics use this one themselves"
            )
        first.add(name)


def check_reach(rules: Rules, report: Report) -> None:
    """Publications are tried in order: what an earlier one takes, a later one never sees."""
    earlier: list[PublicationRules] = []
    for index, publication in enumerate(rules.publications):
        key = ("publications", index)
        _check_except(publication, key, report)
        pairs = [(host, path) for host in publication.hosts for path in publication.paths]
        taken = [(host, path, by) for host, path in pairs if (by := _taker(earlier, host, path))]
        takers = listed(dict.fromkeys(f'publication "{by}"' for _, _, by in taken))
        if len(taken) == len(pairs):
            report.error(
                key, f"never reached: {takers} above takes all of it; allowed: the narrower one first"
            )
        else:
            for host, path, by in taken:
                report.warning(key, f'{host}{path} is taken by publication "{by}" above')
        earlier.append(publication)


def _check_except(publication: PublicationRules, key: Key, report: Report) -> None:
    for number, pattern in enumerate(publication.except_):
        if any(_path_covers(pattern, path) for path in publication.paths):
            report.error(
                (*key, "except", number), f"found {pattern}; allowed: less than the whole of `paths`"
            )
        elif not any(_path_covers(path, pattern) for path in publication.paths):
            report.warning(
                (*key, "except", number), f"{pattern} is not under `paths`, so it is not published anyway"
            )


def _taker(earlier: Iterable[PublicationRules], host: str, path: str) -> str | None:
    for publication in earlier:
        if published(publication.hosts, host) and any(_path_covers(p, path) for p in publication.paths):
            return publication.name
    return None


def published(hosts: Sequence[str], host: str) -> bool:
    """Whether a publication of `hosts` has `host`, which may itself be `*.x`."""
    return host in hosts or "*." + host.partition(".")[2] in hosts


def _path_covers(wide: str, narrow: str) -> bool:
    return f"{path_prefix(narrow)}/".startswith(f"{path_prefix(wide)}/")


def check_bridging(rules: Rules, report: Report) -> None:
    """A publication leads somewhere, and forwarded discovery finds a port."""
    for index, publication in enumerate(rules.publications):
        own = rules.pools.get(publication.pool)
        bridge = publication.bridge.over(own.bridge) if own else None
        if bridge and bridge.http.port == "off" and bridge.https.port == "off":
            report.error(
                ("publications", index, "bridge"), "found http and https off; allowed: at most one off"
            )
    for domain, rule in rules.lync.domains.items():
        pool = rules.pools.get(rule.pool)
        for scheme in Scheme:
            mode = rule.lyncdiscover.http if scheme is Scheme.HTTP else rule.lyncdiscover.https
            if pool and mode is Discover.FORWARD and getattr(pool.bridge, scheme).port == "off":
                report.error(
                    ("lync", "domains", domain, "lyncdiscover", scheme.value),
                    f"found forward; allowed: answer, as pools.{rule.pool}.bridge.{scheme} is off",
                )


def check_web_services(rules: Rules, report: Report) -> None:
    """Discovery sends clients to the web services name: it must be published, or they end there."""
    names = [
        (("lync", "domains", domain, "web_services"), rule.web_services)
        for domain, rule in rules.lync.domains.items()
    ] + [
        (("lync", "users", index, "web_services"), user.web_services)
        for index, user in enumerate(rules.lync.users)
    ]
    every = [host for publication in rules.publications for host in publication.hosts]
    for key, name in names:
        if not published(every, name):
            hint = did_you_mean(name, every)
            report.error(
                key,
                f"found {name}, which no publication has; {hint}allowed: a published name, clients "
                "are sent there",
            )


def check_users(rules: Rules, report: Report) -> None:
    """A user rule that can never match is a user at the wrong pool."""
    plain: set[str] = set()  # the earlier ones without a *, of which there may be thousands
    globs: list[str] = []
    for index, user in enumerate(rules.lync.users):
        key, match = ("lync", "users", index, "match"), user.match.lower()
        if match.startswith("sip:"):
            report.error(key, f"found {show_value(user.match)}; allowed: the address without sip:")
        elif not _can_match(match):
            report.error(
                key, f"found {show_value(user.match)}; allowed: user@domain, * stands for any characters"
            )
        elif above := next(
            (glob for glob in globs if _glob_covers(glob, match)), match if match in plain else None
        ):
            report.error(
                key,
                f"never reached: {show_value(above)} above takes all of it; allowed: the narrower one first",
            )
        if "*" in match:
            globs.append(match)
        else:
            plain.add(match)


def _can_match(match: str) -> bool:
    """Whether some SIP address fits: exactly one @ with something on both sides, or a * to hold it."""
    if any(c.isspace() or not c.isprintable() or c in ':;?/<>"' for c in match):
        return False
    left, at, right = match.partition("@")
    return bool(left and right and "@" not in right) if at else "*" in match


def _glob_covers(wide: str, narrow: str) -> bool:
    """Whether `wide` fits `narrow` read as plain text; then it fits all that `narrow` does.

    Greedy from both ends, not a regular expression: many stars can't make it slow.
    """
    first, *rest = wide.split("*")
    if not rest:
        return wide == narrow
    if not narrow.startswith(first):
        return False
    *middle, last = rest
    at = len(first)
    for piece in middle:
        found = narrow.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return len(narrow) - len(last) >= at and narrow.endswith(last)


def check_limits(rules: Rules, report: Report) -> None:
    if rules.limits.url > rules.limits.head:
        report.error(
            ("limits", "url"), "found more than limits.head; allowed: less, the URL is part of the head"
        )
