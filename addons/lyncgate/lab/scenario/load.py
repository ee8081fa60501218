"""Loading a scenario: text → Scenario, or everything that is wrong with it, in the manner of rules.yaml.

    scenario, problems = load_scenario(text, "office.yaml")
    # office.yaml:31:12: users."bob@contoso.example".grants.mobility: found unknown policy "NoMobilty";
    #     did you mean "NoMobility"? allowed: NoMobility

Pure but for `default_scenario`, which reads the packaged file, once.
"""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Callable, Iterable, Iterator

from lyncgate.lab import topology
from lyncgate.lab.scenario.model import RANGE, ScenarioFile, UserRules
from lyncgate.lab.scenario.policies import GLOBAL, SITE
from lyncgate.lab.scenario.scenario import Scenario
from lyncgate.lab.scenario.users import User
from lyncgate.lync.dialplan import DialPlanError, compiled
from lyncgate.policy.problem import Key, Problem, Report, did_you_mean, listed, show_value
from lyncgate.policy.shape import shaped


def load_scenario(text: str, filename: str) -> tuple[Scenario | None, tuple[Problem, ...]]:
    """The scenario, None if any problem is an error, and the problems in the order of the text."""
    file = shaped(text, filename, ScenarioFile)
    written, report = file.model, file.report
    users: list[User] = []
    if written:
        for check, sections in CHECKS:
            if file.broken.isdisjoint(sections.split()):
                check(written, report)
        if file.broken.isdisjoint(("users", "pools")):
            users = _users(written, report)
    if written is None or file.broken or report.failed:
        return None, tuple(sorted(report.problems))
    scenario = Scenario(
        organization=written.organization,
        sites={name: pool.site for name, pool in written.pools.items()},
        policies=written.policies,
        dial_plans={name: plan.as_plan(name) for name, plan in written.dial_plans.items()},
        users=tuple(users),
        text=text,
    )
    return scenario, tuple(sorted(report.problems))


@functools.cache
def default_scenario() -> Scenario:
    """The scenario that the lab has when it is given none."""
    name = "default.yaml"
    text = (importlib.resources.files(__package__) / name).read_text()
    scenario, problems = load_scenario(text, name)
    if scenario is None:
        raise ValueError("\n".join(map(str, problems)))
    return scenario


# -- users ------------------------------------------------------------------------------------------


def _users(written: ScenarioFile, report: Report) -> list[User]:
    """Every user, ranges written out, in the order of the file."""
    exact = {address for address in written.users if not RANGE.search(address)}
    users: dict[str, User] = {}
    accounts: dict[str, str] = {}
    lines: dict[str, str] = {}
    for pattern, rules in written.users.items():
        key: Key = ("users", pattern)
        for address, number in _addresses(pattern):
            if pattern not in exact and address in exact:
                continue
            domain = address.partition("@")[2]
            if domain not in topology.DOMAINS:
                _unknown(report.at_key, key, "SIP domain", domain, topology.DOMAINS)
                break
            if address in users:
                report.at_key(key, f"found {address} in two ranges; allowed: each user once")
                break
            user = users[address] = _user(address, number, rules)
            for name in {user.account.lower(), user.down_level_name.lower()}:
                if (other := accounts.setdefault(name, address)) != address:
                    report.error(
                        (*key, "upn"), f"found the account {name}, which is {other}'s; allowed: one's own"
                    )
            if user.line and (other := lines.setdefault(user.line, address)) != address:
                report.error((*key, "line"), f"found {user.line}, which is {other}'s; allowed: one's own")
    for pattern, rules in written.users.items():
        for group, addresses in rules.contacts.items():
            for index, address in enumerate(addresses):
                if address not in users:
                    place = ("users", pattern, "contacts", group, index)
                    near = did_you_mean(address, users)
                    report.error(place, f"found unknown user {address}; {near}allowed: a user under `users`")
    return list(users.values())


def _addresses(pattern: str) -> Iterator[tuple[str, str]]:
    """`user[01-03]@…` → (user01@…, "01"), …; a plain address → itself."""
    span = RANGE.search(pattern)
    if span is None:
        yield pattern, ""
        return
    for n in range(int(span[1]), int(span[2]) + 1):
        number = f"{n:0{len(span[1])}}"
        yield RANGE.sub(number, pattern, count=1), number


def _user(address: str, number: str, rules: UserRules) -> User:
    def text(written: str) -> str:
        return written.replace("{n}", number)

    name, _, domain = address.partition("@")
    return User(
        name,
        domain,
        rules.pool,
        account=text(rules.upn or address),
        password=rules.password or f"P4ss-{name}",
        display_name=text(rules.name or name.replace(".", " ").title()),
        line=None if rules.line is None else text(rules.line),
        voicemail=rules.voicemail,
        title=text(rules.title),
        department=text(rules.department),
        office=text(rules.office),
        photo=rules.photo,
        presence=rules.presence,
        devices=tuple(rules.devices),
        grants=rules.grants,
        buddies=tuple((group, tuple(addresses)) for group, addresses in rules.contacts.items()),
    )


# -- what must fit together -------------------------------------------------------------------------


def _check_pools(written: ScenarioFile, report: Report) -> None:
    homes = [name for name, pool in topology.POOLS.items() if pool.role is topology.Role.FRONT_END]
    for name, pool in written.pools.items():
        if name not in homes:
            _unknown(report.at_key, ("pools", name), "pool", name, homes)
        if pool.site not in written.sites:
            _unknown(report.error, ("pools", name, "site"), "site", pool.site, written.sites)


def _check_homes(written: ScenarioFile, report: Report) -> None:
    for address, user in written.users.items():
        if user.pool not in written.pools:
            _unknown(report.error, ("users", address, "pool"), "pool", user.pool, written.pools)


def _check_sites(written: ScenarioFile, report: Report) -> None:
    for key, names in _scoped(written).items():
        for name in names:
            if name.startswith(SITE) and (site := name.removeprefix(SITE)) not in written.sites:
                _unknown(report.at_key, (*key, name), "site", site, written.sites)


def _check_grants(written: ScenarioFile, report: Report) -> None:
    scoped = _scoped(written)
    for address, user in written.users.items():
        for kind, name in user.grants:
            key = ("dial_plans",) if kind == "dial_plan" else ("policies", kind)
            known = [known for known in scoped[key] if known != GLOBAL and not known.startswith(SITE)]
            if name is not None and name not in known:
                what = "dial plan" if kind == "dial_plan" else "policy"
                _unknown(report.error, ("users", address, "grants", kind), what, name, known)


def _check_dial_plans(written: ScenarioFile, report: Report) -> None:
    for name, plan in written.dial_plans.items():
        for index, rule in enumerate(plan.rules):
            try:
                compiled(rule.pattern)
            except DialPlanError as error:
                report.error(
                    ("dial_plans", name, "rules", index, "pattern"),
                    f"found {show_value(rule.pattern)}; allowed: a regular expression ({error.__cause__})",
                )


def _scoped(written: ScenarioFile) -> dict[tuple[str, ...], Iterable[str]]:
    """The names of all policies of a kind, and of all dial plans, by where they stand."""
    names: dict[tuple[str, ...], Iterable[str]] = {
        ("policies", kind): known for kind, known in written.policies
    }
    return names | {("dial_plans",): written.dial_plans}


def _unknown(say: Callable[[Key, str], None], key: Key, what: str, found: str, known: Iterable[str]) -> None:
    known = list(known)
    say(
        key,
        f"found unknown {what} {show_value(found)}; {did_you_mean(found, known)}allowed: {listed(known)}",
    )


CHECKS: tuple[tuple[Callable[[ScenarioFile, Report], None], str], ...] = (
    (_check_pools, "pools sites"),
    (_check_homes, "users pools"),
    (_check_sites, "policies dial_plans sites"),
    (_check_grants, "users policies dial_plans"),
    (_check_dial_plans, "dial_plans"),
)
