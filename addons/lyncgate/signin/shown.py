"""Text and numbers as page and terminal show them."""

from __future__ import annotations

import datetime
import unicodedata

_HIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


def shown(text: str, limit: int = 512) -> str:
    """`text` in one line: control characters, and those that reverse or hide text, become `�`; what is
    longer than `limit` characters ends in `…`. Escaping is left to whoever writes the markup."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join("�" if unicodedata.category(char) in _HIDDEN else char for char in cut)


def duration(seconds: float) -> str:
    """`0.4 ms`, `12.3 ms`, `145 ms`, `1.34 s`, `31.2 s`, `3 min 02 s`, `1 h 05 min`."""
    seconds = max(seconds, 0.0)
    milliseconds = seconds * 1000
    if milliseconds < 0.05:
        return "0 ms"
    if milliseconds < 99.95:
        return f"{milliseconds:.1f} ms"
    if milliseconds < 999.5:
        return f"{milliseconds:.0f} ms"
    if seconds < 9.995:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def ahead(seconds: float) -> str:
    """By how much a clock is off: `2.500 s ahead, corrected`."""
    if abs(seconds) < 0.0005:
        return "agrees"
    return f"{abs(seconds):.3f} s {'ahead' if seconds > 0 else 'behind'}, corrected"


def moment(when: float) -> str:
    """Unix seconds as `2026-11-22 23:04:37 UTC`."""
    return f"{_utc(when):%Y-%m-%d %H:%M:%S} UTC"


def clock(when: float) -> str:
    """Unix seconds as the time of day with milliseconds: `23:04:37.123`, UTC."""
    return f"{_utc(when):%H:%M:%S.%f}"[:-3]


def _utc(when: float) -> datetime.datetime:
    """Times outside of what a calendar has become its ends."""
    try:
        return datetime.datetime.fromtimestamp(when, datetime.UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.datetime.fromtimestamp(0 if when < 0 else 253_402_300_799, datetime.UTC)
