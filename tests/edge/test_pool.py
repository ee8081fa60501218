"""Which member is next: never one that is down, evenly, and the same one again where affinity wants it."""

from __future__ import annotations

import collections
import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.edge.pool import Check, MemberState, PoolState, checks_of
from lyncgate.policy.policy import Affinity, Balance, Bridge, Health, Member, Pool

HEALTH = Health(rise=2, fall=3)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def pool(count: int = 3, *, drained: tuple[int, ...] = (), **changes: object) -> Pool:
    members = tuple(Member(f"fe{n}", f"192.0.2.{n}", drain=n in drained) for n in range(1, count + 1))
    return dataclasses.replace(Pool("pool01", members, health=HEALTH), **changes)  # type: ignore[arg-type]


def state(rules: Pool | None = None, clock: Clock | None = None, old: PoolState | None = None) -> PoolState:
    return PoolState(rules or pool(), clock=clock or Clock(), old=old)


def fail(member: MemberState, rules: Pool, times: int = 3) -> None:
    for _ in range(times):
        member.record("https", False, rules)


pools = st.builds(
    pool,
    st.integers(1, 5),
    drained=st.lists(st.integers(1, 5), max_size=3).map(tuple),
    affinity=st.sampled_from(Affinity),
    balance=st.sampled_from(Balance),
    health=st.builds(
        Health, rise=st.integers(1, 3), fall=st.integers(1, 3), slow_start=st.sampled_from([0.0, 60.0])
    ),
)
results = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from(["tcp", "https"]), st.booleans()), max_size=30
)


@given(pools, results, st.lists(st.integers(1, 5)), st.ip_addresses().map(str), st.integers(0, 4) | st.none())
def test_only_usable_members_are_chosen(
    rules: Pool, checked: list[tuple[int, str, bool]], tried: list[int], source: str, liked: int | None
) -> None:
    members = state(rules)
    for number, check, good in checked:
        if number < len(members.members):
            members.members[number].record(check, good, rules)  # type: ignore[arg-type]
    without = {f"fe{n}" for n in tried}
    prefer = members.members[liked] if liked is not None and liked < len(members.members) else None
    fit = [m for m in members.members if m.usable and m.name not in without]
    for _ in range(5):
        chosen = members.choose(source, prefer=prefer, without=without)
        if not fit:
            assert chosen is None
        else:
            assert chosen in fit
            assert prefer not in fit or chosen is prefer


def test_first_result_counts_at_once_then_rise_and_fall() -> None:
    check = Check()
    assert check.up, "up until proven otherwise"
    assert check.record(False, rise=2, fall=3), "the first result is not waited for"
    assert not check.up
    changes = [check.record(good, rise=2, fall=3) for good in (True, False, True, True, False, False, True)]
    assert changes == [False, False, False, True, False, False, False]
    assert check.up
    assert [check.record(False, rise=2, fall=3) for _ in range(4)] == [False, False, True, False]
    assert not check.up


def test_a_member_is_up_when_all_its_checks_are() -> None:
    rules = pool(1)
    member = state(rules).members[0]
    assert not member.record("tcp", True, rules)
    assert member.record("https", False, rules), "went down"
    assert not member.usable
    assert not member.record("https", True, rules)
    assert member.record("https", True, rules), "came back"
    assert member.usable


def test_connects_that_fail_count_as_failed_checks() -> None:
    rules = pool(1)
    member = state(rules).members[0]
    assert not any(member.connect_failed(rules) for _ in range(9)), "nothing would bring it back: not checked"
    member.record("tcp", True, rules)
    member.record("https", True, rules)
    assert [member.connect_failed(rules) for _ in range(3)] == [False, False, True]
    assert (member.checks["tcp"].up, member.checks["https"].up) == (True, False)


def test_slow_start_ramps_from_a_tenth_to_all() -> None:
    clock = Clock()
    rules = pool(2, health=Health(rise=1, fall=1, slow_start=10.0))
    member, other = state(rules, clock).members
    assert member.weight(10.0) == 1.0, "up since the start"
    fail(member, rules, 1)
    member.record("https", True, rules)
    weights = []
    for _ in range(5):
        weights.append(member.weight(10.0))
        clock.now += 2.5
    assert weights == [0.1, 0.25, 0.5, 0.75, 1.0]
    assert other.weight(10.0) == 1.0


def test_slow_start_spares_the_member_that_came_back() -> None:
    clock = Clock()
    rules = pool(2, health=Health(rise=1, fall=1, slow_start=10.0))
    members = state(rules, clock)
    back, other = members.members
    fail(back, rules, 1)
    back.record("https", True, rules)
    clock.now += 2.5  # a quarter of the load: one request to four
    for _ in range(10):
        chosen = members.choose("192.0.2.99")
        assert chosen
        chosen.requests += 1
    assert (back.requests, other.requests) == (2, 8)


def test_least_connections() -> None:
    members = state()
    first, second, third = members.members
    first.requests, second.requests, third.requests = 2, 0, 1
    order = []
    for _ in range(6):
        chosen = members.choose("192.0.2.99")
        assert chosen
        chosen.requests += 1
        order.append(chosen.name)
    assert collections.Counter(order) == {"fe2": 3, "fe3": 2, "fe1": 1}
    assert order[0] == "fe2"


def test_an_idle_pool_is_used_evenly() -> None:
    """Nobody waits anywhere, so everybody has the least: they must take turns all the same."""
    members = state()
    chosen = collections.Counter(m.name for m in (members.choose("192.0.2.99") for _ in range(30)) if m)
    assert set(chosen.values()) == {10}


@given(st.integers(1, 6), st.integers(1, 40))
def test_round_robin_is_fair_at_every_moment(count: int, turns: int) -> None:
    members = state(pool(count, balance=Balance.ROUND_ROBIN))
    seen: collections.Counter[str] = collections.Counter({m.name: 0 for m in members.members})
    for _ in range(turns):
        chosen = members.choose("192.0.2.99")
        assert chosen
        seen[chosen.name] += 1
        assert max(seen.values()) - min(seen.values()) <= 1


def test_round_robin_goes_on_fairly_when_a_member_returns() -> None:
    rules = pool(2, balance=Balance.ROUND_ROBIN, health=Health(rise=1, fall=1))
    members = state(rules)
    fail(members.members[0], rules, 1)
    for _ in range(7):
        members.choose("192.0.2.99")
    members.members[0].record("https", True, rules)
    chosen = collections.Counter(m.name for m in (members.choose("192.0.2.99") for _ in range(10)) if m)
    assert chosen == {"fe1": 5, "fe2": 5}, "no catching up on what it missed"


@given(st.sets(st.ip_addresses(v=4).map(str), min_size=30, max_size=60), st.integers(2, 5))
def test_source_affinity_moves_only_the_clients_of_a_member_that_goes(sources: set[str], count: int) -> None:
    rules = pool(count, affinity=Affinity.SOURCE, health=Health(rise=1, fall=1))
    members = state(rules)
    before = {source: members.choose(source) for source in sources}
    assert before == {source: members.choose(source) for source in sources}, "the same again"
    lost = members.members[0]
    fail(lost, rules, 1)
    after = {source: members.choose(source) for source in sources}
    assert all(after[s] is before[s] for s in sources if before[s] is not lost)
    assert lost not in after.values()
    lost.record("https", True, rules)
    assert before == {source: members.choose(source) for source in sources}, "and back"


def test_source_affinity_spreads() -> None:
    members = state(pool(4, affinity=Affinity.SOURCE))
    seen = collections.Counter(
        chosen.name for n in range(1000) if (chosen := members.choose(f"198.51.{n >> 8}.{n & 255}"))
    )
    assert min(seen.values()) > 180


def test_cookie_tokens_find_their_member_and_tell_nothing() -> None:
    rules = pool(3, affinity=Affinity.COOKIE)
    members = state(rules)
    for member in members.members:
        assert members.by_token(member.token) is member
        assert member.member.host not in member.token
        assert member.name not in member.token
    assert len({member.token for member in members.members}) == 3
    assert members.by_token("") is None
    assert members.by_token("0123456789abcdef") is None
    assert members.by_token(state(rules).members[1].token) is members.members[1], (
        "another worker's is the same"
    )
    fail(members.members[1], rules)
    assert members.by_token(members.members[1].token) is None, "down"
    drained = state(pool(3, drained=(1,), affinity=Affinity.COOKIE))
    assert drained.by_token(drained.members[0].token) is None


def test_reload_keeps_counts_and_health_by_host() -> None:
    clock = Clock()
    rules = pool(3)
    old = state(rules, clock)
    first, second, third = old.members
    first.requests, second.requests = 5, 2
    fail(second, rules)
    renamed = dataclasses.replace(
        rules,
        members=(
            Member("new", "192.0.2.9"),
            Member("two", "192.0.2.2"),
            Member("fe1", "192.0.2.1", drain=True),
        ),
    )
    new = state(renamed, clock, old)
    assert new.members[2] is first
    assert first.requests == 5
    assert not first.usable, "drained by the new rules"
    assert new.members[1] is second
    assert (second.name, second.up, second.requests) == ("two", False, 2)
    assert new.members[0].usable
    assert third not in new.members
    assert new.member("two") is second
    assert new.member("fe2") is None


@pytest.mark.parametrize(
    "changes", [{"health": Health(https=None)}, {"bridge": Bridge(http=8080, https=None)}]
)
def test_a_check_that_is_made_no_longer_holds_nobody_down(changes: dict[str, object]) -> None:
    """An operator who sees a check fail for no reason turns it off, and the member must come back."""
    rules = pool(1)
    old = state(rules)
    fail(old.members[0], rules)
    assert not old.members[0].usable
    assert checks_of(rules) == ["tcp", "https"]
    unchecked = dataclasses.replace(rules, **changes)  # type: ignore[arg-type]
    assert checks_of(unchecked) == ["tcp"]
    assert state(unchecked, old=old).members[0].usable
