"""All faults by code, and how they are chosen.

Faults(choose("F20,F37=5"))
"""

from __future__ import annotations

import difflib

from lyncgate.lab.faults import discovery, mobility, tickets, tls
from lyncgate.lab.faults.fault import Fault

CATALOGUE = {
    fault.code: fault
    for fault in sorted(
        (*discovery.FAULTS, *tls.FAULTS, *tickets.FAULTS, *mobility.FAULTS), key=lambda fault: fault.code
    )
}


class UnknownFaultError(ValueError):
    """No such fault, or no such amount; the text is for people."""


def choose(text: str) -> list[tuple[Fault, float]]:
    """Faults with their amounts: codes with commas between them, `=` and a number after those that have an
    amount. Raises UnknownFaultError."""
    return [_one(part.strip()) for part in text.split(",") if part.strip()]


def _one(text: str) -> tuple[Fault, float]:
    code, equals, number = text.upper().partition("=")
    fault = CATALOGUE.get(code)
    if fault is None:
        near = difflib.get_close_matches(code, CATALOGUE, n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise UnknownFaultError(f"there is no fault {code}{hint} --list-faults has them all")
    if not equals:
        return fault, fault.amount
    if not fault.unit:
        raise UnknownFaultError(f"{code} has no amount")
    try:
        amount = float(number)
    except ValueError:
        amount = -1.0
    if not 0 < amount < 1e6:
        raise UnknownFaultError(f"{code}={number}: give a number of {fault.unit}, more than 0")
    return fault, amount
