"""Text from outside, made fit to be kept: printable, bounded, no secrets."""

from __future__ import annotations

import re
import urllib.parse

from lyncgate.signin.facts import VALUE_LIMIT

# What looks like a ticket, a key or a hash: words of text have no 40 such characters in a row.
_TOKEN = re.compile(r"cwt=\S+|[A-Za-z0-9+/=_-]{40,}")
_COMPACT, _LONG = "cwt=", 40  # how each of the two is told in little time
_LONGEST_URL = 4096
_TOKEN_IN_PATH = re.compile(r"cwt=[^/]+|[A-Za-z0-9+=_-]{40,}")
# As documents have them: nothing is to be taken away, but a token from the path.
_USUAL = re.compile(r"https?://[a-z0-9][a-z0-9.-]*(?::[1-9][0-9]{0,3})?(/[A-Za-z0-9._~/-]*)?", re.ASCII)


# URLs that were found as they shall be: those of a pool's services come in each document.
_clean: set[str] = set()
_MOST_CLEAN = 512


def plain(text: str, limit: int = VALUE_LIMIT) -> str:
    """The text in one line of at most `limit` characters, with `…` for what may be a token."""
    if len(text) < _LONG and text.isprintable() and _COMPACT not in text and "  " not in text:
        return text[:limit].strip()  # most are such
    bounded = text[: 8 * limit]
    if len(bounded) >= _LONG or _COMPACT in bounded:
        bounded = _TOKEN.sub("…", bounded)
    return _line(bounded, limit)


def _line(text: str, limit: int) -> str:
    if text.isprintable() and "  " not in text:
        return text[:limit].strip()
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:limit]


def plain_bytes(value: bytes, limit: int = VALUE_LIMIT) -> str:
    """The same of a header field's value."""
    return plain(value.decode("latin-1"), limit)


def url(text: str) -> str | None:
    """The URL without query, fragment and credentials; a path stays one. None: there is nothing left."""
    before = text.partition("?")[0]
    if before in _clean:
        return before
    if len(before) <= VALUE_LIMIT and "#" not in before and (usual := _USUAL.fullmatch(before)):
        path = usual[1] or ""
        if len(path) < _LONG or not _TOKEN_IN_PATH.search(path):
            if len(_clean) >= _MOST_CLEAN:
                _clean.clear()
            _clean.add(before)
            return before
    try:
        parts = urllib.parse.urlsplit(text.strip()[:_LONGEST_URL])
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return None
    if ":" in host:
        host = f"[{host}]"
    path = _TOKEN_IN_PATH.sub("…", parts.path)
    whole = urllib.parse.urlunsplit((parts.scheme, host + port, path, "", ""))
    return _line(whole[: 2 * VALUE_LIMIT], VALUE_LIMIT) or None
