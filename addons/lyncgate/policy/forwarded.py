"""The X-Forwarded-* fields that go upstream: who asked, by which scheme, for which host."""

from __future__ import annotations


def forwarded_fields(source: str, scheme: str, host: str) -> tuple[tuple[str, str], ...]:
    """For a client whose own X-Forwarded-* are not believed. `source`: textual address of the peer;
    `host`: its Host as `hosts.parse` gives it."""
    return (("X-Forwarded-For", source), ("X-Forwarded-Proto", scheme), ("X-Forwarded-Host", host))
