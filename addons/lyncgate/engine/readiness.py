"""Whether new clients may be sent here, and what an operator wants to see beside it."""

from __future__ import annotations

from lyncgate.engine.master import EdgeMaster
from lyncgate.observe.admin import Readiness


def readiness(master: EdgeMaster) -> Readiness:
    """Every listener bound, every pool with a usable member, and not about to stop."""
    edge = master.edge.edge
    reasons = []
    if edge.draining:
        reasons.append("stopping")
    elif not master.listening:
        reasons.append("not every listener is open")
    pools = {}
    for name, pool in edge.pools.items():
        pools[name] = {
            state.name: {
                "usable": state.usable,
                "drain": state.member.drain,
                "requests": state.requests,
                "checks": {check: result.up for check, result in state.checks.items()},
            }
            for state in pool.members
        }
        if not any(state.usable for state in pool.members):
            reasons.append(f"pool {name} has no usable member")
    details = {"policy": edge.policy.version, "listeners": master.addresses(), "pools": pools}
    return Readiness(not reasons, tuple(reasons), details)
