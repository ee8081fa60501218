"""explain(): every rule that decide() tried for a request, why it did not match, what happens now.

It has no rules of its own: it runs decide() and listens.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from lyncgate.lync import names
from lyncgate.policy import hosts, paths
from lyncgate.policy.decide import decide
from lyncgate.policy.decision import Answer, Decision, Deny, Forward, Redirect
from lyncgate.policy.forwarded import forwarded_fields
from lyncgate.policy.policy import Policy
from lyncgate.policy.request import Request
from lyncgate.policy.step import Step


@dataclasses.dataclass(frozen=True, slots=True)
class Upstream:
    """What a member of `pool` gets. `fields`: Host and X-Forwarded-*, in the order in which they are
    sent, for a client that comes directly: those of a trusted proxy are believed instead."""

    pool: str
    members: tuple[str, ...]
    scheme: str
    port: int
    target: str
    fields: tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Explanation:
    """`target`: as asked. `host`, `path`: as matched; None: Host is unusable. `readings`: of the path, if
    more than one. `user`: the SIP user in question, if any. `upstream`: only for a Forward."""

    method: str
    scheme: str
    source: str
    listener: str
    host: str | None
    target: str
    path: str
    readings: tuple[str, ...]
    user: str | None
    steps: tuple[Step, ...]
    decision: Decision
    upstream: Upstream | None


def explain(policy: Policy, request: Request) -> Explanation:
    """How `policy` decides on `request`, step by step."""
    steps: list[Step] = []
    decision = decide(policy, request, steps.append)
    path, _, query = request.target.partition(b"?")
    readings = tuple(sorted(paths.readings(path) or ()))
    return Explanation(
        method=_text(request.method),
        scheme=request.scheme,
        source=request.source,
        listener=request.listener,
        host=hosts.parse(request.host),
        target=_text(request.target),
        path=paths.canonical(path),
        readings=readings if len(readings) > 1 else (),
        user=names.sip_user_from_query(query) if request.user is None else names.sip_address(request.user),
        steps=tuple(steps),
        decision=decision,
        upstream=_upstream(policy, request, decision) if isinstance(decision, Forward) else None,
    )


def _upstream(policy: Policy, request: Request, forward: Forward) -> Upstream:
    forwarded = forwarded_fields(request.source, request.scheme, hosts.parse(request.host) or "")
    return Upstream(
        pool=forward.pool,
        members=tuple(member.name for member in policy.pools[forward.pool].members),
        scheme=forward.scheme,
        port=forward.port,
        target=_text(forward.target),
        fields=(("Host", _text(request.host)), *forwarded),
    )


def summary(decision: Decision) -> str:
    """A decision in one line: `forward to pool01, https port 4443`."""
    match decision:
        case Forward():
            return f"forward to {decision.pool}, {decision.scheme} port {decision.port}"
        case Redirect():
            return f"redirect with {decision.status} to {decision.location}"
        case Answer():
            return "answer with " + ", ".join(f"{token} {href}" for token, href in decision.links)
        case Deny():
            return f"deny with {decision.status}, {decision.reason}"


def render(explanation: Explanation) -> str:
    """The explanation as plain text, one fact a line, ending in a newline."""
    asked = explanation
    lines = [f"{asked.method} {asked.scheme}://{asked.host or '(no usable Host)'}{asked.target}"]
    lines.append(
        f"  from {asked.source} on listener {asked.listener}" + (f" for {asked.user}" if asked.user else "")
    )
    lines += [f"  can be read as {reading}" for reading in asked.readings]
    lines += ["", "rules tried"]
    lines += [f"  {'+' if step.matched else '-'} {step.rule}: {step.why}" for step in asked.steps]
    lines += ["", "decision", f"  {summary(asked.decision)}", f"  by {asked.decision.rule}"]
    if asked.upstream:
        sent = asked.upstream
        lines += ["", f"sent to one of {', '.join(sent.members)}, {sent.scheme} port {sent.port}"]
        lines.append(f"  {asked.method} {sent.target}")
        lines += [f"  {name}: {value}" for name, value in sent.fields]
    return "\n".join(lines) + "\n"


def to_json(explanation: Explanation) -> dict[str, Any]:
    """The explanation as what json.dumps takes; `decision.action` names the kind of decision."""
    document = dataclasses.asdict(explanation)
    document["decision"] = {"action": type(explanation.decision).__name__.lower(), **document["decision"]}
    if isinstance(explanation.decision, Forward):
        document["decision"]["target"] = _text(explanation.decision.target)
        own = document["decision"].pop("timeouts") or {}
        if said := {name: value for name, value in own.items() if value is not None}:
            document["decision"]["timeouts"] = said
    return document


def _text(raw: bytes) -> str:
    """Bytes of a request for a terminal: printable ASCII as it is, the rest as \\xNN."""
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}" for byte in raw)
