r"""Paths: every way in which a server behind us may read the one that a client sent.

The edge matches a path but forwards it as it came, so a rule is only worth something if it sees what
the pool will see. IIS decodes `%XX` and `%uXXXX`, takes `\` for `/`, resolves dot segments and
ignores case; Windows drops dots and spaces at the end of a segment and everything from `:`
(`::$DATA`); ASP.NET takes `/(S(id))` out; others strip `;parameters`, decode twice, keep `%2F` apart
from `/`, or collapse `//` before `..` rather than after. Instead of guessing, `readings` lists the
results of all of these, alone and together, and the rules ask:

- is it published? every reading must say so;
- is it excluded? one reading is enough.

A path in an encoding on which servers disagree altogether (broken `%`, overlong UTF-8, control
characters) has no reading at all and is refused. An honest path has one reading and takes a short cut.

    readings(b"/Meet/alice") == {"/meet/alice"}
    "/cscp" in readings(b"/meet/..%255cCSCP.")
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable, Iterable

_MOST_DECODINGS = 4  # whoever nests escapes deeper than this hides something
_MOST_FORMS = 32  # bounds the work: honest paths have one form, rarely four

# Nothing to decode, no empty segment, no segment that begins or ends with a dot, no separator of
# parameters or sessions: such a path reads the same everywhere but for its case.
_PLAIN = re.compile(rb"(?:/[\w@~!$&'*+,=-]+(?:\.[\w@~!$&'*+,=-]+)*)+/?|/")

_ESCAPE = re.compile(rb"(?:%u[0-9a-f]{4})+|%[0-9a-f]{2}", re.IGNORECASE)
_SEPARATOR_ESCAPE = re.compile(rb"%(?:u00|)(?:2f|5c)", re.IGNORECASE)
_BROKEN_ESCAPE = re.compile(rb"%(?!u[0-9a-f]{4}|[0-9a-f]{2})", re.IGNORECASE)
# Control characters, and the two compatibility forms of "%": they would become escapes after decoding.
_REFUSED = re.compile("[\x00-\x1f\x7f-\x9f\ufe6a\uff05]")
# Slashes that Windows code pages turn into ASCII ("best fit") though NFKC does not.
_BEST_FIT = str.maketrans({"\u2044": "/", "\u2215": "/", "\u2216": "\\"})
_SESSION = re.compile(r"/\((?:[a-z]\([^()/]*\))+\)")  # ASP.NET cookieless: /(S(id)), /(A(x)F(y))
_PARAMETERS = re.compile(r"[;:?#][^/]*")


REMEMBERED = 256  # bytes: of longer paths nothing is kept, or a client could fill the memory


def readings(path: bytes) -> frozenset[str] | None:
    """All plausible canonical forms of `path` (no query): lower-case, from the root, no `//`, no
    final `/`. None: servers read it so differently that it can't be judged; refuse it."""
    plain = _plain(path)
    if plain is not None:
        return frozenset((plain,))
    return _remembered_readings(path) if len(path) <= REMEMBERED else _readings(path)


def _plain(path: bytes) -> str | None:
    """The one reading of an honest path. Found sooner than remembered: each phone has paths of its own."""
    return (path.decode().lower().rstrip("/") or "/") if _PLAIN.fullmatch(path) else None


def _readings(path: bytes) -> frozenset[str] | None:
    decoded = _decodings(path)
    if decoded is None:
        return None
    forms = {text.casefold() for text in decoded}
    for step in _STEPS:
        forms |= {step(form) for form in forms}
        if len(forms) > _MOST_FORMS:
            return None
    return frozenset(reading for form in forms for reading in _resolutions(form))


_remembered_readings = functools.lru_cache(maxsize=1024)(_readings)


def canonical(path: bytes) -> str:
    """What IIS makes of `path`: one of its readings, for logs and metrics. Total: a path without
    readings comes back undecoded, with everything unprintable replaced."""
    plain = _plain(path)
    if plain is not None:
        return plain
    return _remembered_canonical(path) if len(path) <= REMEMBERED else _canonical(path)


def _canonical(path: bytes) -> str:
    text = _decode(path)
    if text is None:
        text = re.sub("[^\x21-\x7e]", "\ufffd", path.decode("latin-1"))
    return _join(_resolve(_segments(text.casefold().replace("\\", "/"))))


_remembered_canonical = functools.lru_cache(maxsize=1024)(_canonical)


def under(prefixes: tuple[str, ...], forms: Iterable[str]) -> list[str]:
    """Those of `forms` that lie under one of the `prefixes` (canonical, without a final `/`; the
    empty one is everything), at a segment border."""
    borders = _borders(prefixes)
    return [form for form in forms if (form + "/").startswith(borders)]


@functools.lru_cache(maxsize=1024)
def _borders(prefixes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(prefix + "/" for prefix in prefixes)


# -- decoding ---------------------------------------------------------------------------------------


def _decodings(path: bytes) -> set[str] | None:
    """`path` decoded once, twice and so on until nothing changes, and once with `%2F` and `%5C` as
    part of their segment (`|` stands for them: no published path has one)."""
    texts = set()
    if _SEPARATOR_ESCAPE.search(path):
        opaque = _decode(_SEPARATOR_ESCAPE.sub(b"|", path))
        if opaque is None:
            return None
        texts.add(opaque)
    raw = path
    for depth in range(_MOST_DECODINGS):
        text = _decode(raw, strict=depth == 0)
        if text is None:
            return None
        texts.add(text)
        raw = text.encode()
        if not _ESCAPE.search(raw):
            return texts
    return None


def _decode(raw: bytes, *, strict: bool = True) -> str | None:
    """One round of decoding. Not `strict`: a `%` that begins no escape is itself, as in `100%.pptx`
    once decoded."""
    if strict and _BROKEN_ESCAPE.search(raw):
        return None
    try:
        text = _ESCAPE.sub(_unescaped, raw).decode()  # strict UTF-8: no overlong form, no surrogate
    except UnicodeDecodeError:
        return None
    return None if _REFUSED.search(text) else text


def _unescaped(escape: re.Match[bytes]) -> bytes:
    if escape[0][1:2] in b"uU":  # a run of %uXXXX is UTF-16, maybe with surrogate pairs
        return (
            bytes.fromhex(re.sub("%u", "", escape[0].decode(), flags=re.IGNORECASE))
            .decode("utf-16-be")
            .encode()
        )
    return bytes.fromhex(escape[0][1:].decode())


# -- what servers do with decoded text; each of these may happen or not -----------------------------


def _compatible(text: str) -> str:
    """Full-width and other compatibility characters as ASCII, ignorable ones (zero width) dropped."""
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKC", text).translate(_BEST_FIT).casefold()
    return "".join(char for char in text if unicodedata.category(char) != "Cf")


def _forward_slashes(text: str) -> str:
    return text.replace("\\", "/")


def _session_dropped(text: str) -> str:
    """`/b/(S(id))in` → `/bin`: ASP.NET takes the slash out with the session."""
    return _SESSION.sub("", text)


def _session_emptied(text: str) -> str:
    return _SESSION.sub("/", text)


def _resolved_early(text: str) -> str:
    """Dot segments resolved by one server, before the next steps make new ones for another:
    `/x/../cscp;a/..;b` → `/cscp;a/..;b` → `/cscp/..`."""
    return _join(_resolve(_segments(text))) if "/." in text else text


def _bare(text: str) -> str:
    """Segments without parameters, NTFS streams, or what a second parser would take for a query."""
    return _PARAMETERS.sub("", text)


def _trimmed(text: str) -> str:
    """Segments without dots and spaces at their end, as Windows names files."""
    segments = (segment.rstrip(" ") for segment in text.split("/"))
    return "/".join(segment if segment in (".", "..") else segment.rstrip(". ") for segment in segments)


_STEPS: tuple[Callable[[str], str], ...] = (
    _compatible,
    _forward_slashes,
    _session_dropped,
    _session_emptied,
    _resolved_early,
    _bare,
    _trimmed,
)


# -- segments ---------------------------------------------------------------------------------------


def _segments(text: str) -> list[str]:
    return [segment for segment in text.split("/") if segment]


def _join(segments: Iterable[str]) -> str:
    return "/" + "/".join(segments)


def _resolve(segments: Iterable[str]) -> list[str]:
    """Without dot segments; `..` stops at the root."""
    resolved: list[str] = []
    for segment in segments:
        if segment == "..":
            del resolved[-1:]
        elif segment != ".":
            resolved.append(segment)
    return resolved


def _resolutions(text: str) -> set[str]:
    """`text` with dot segments left alone, resolved after and resolved before `//` is collapsed."""
    segments = _segments(text)
    kept_empty = _resolve(text.removeprefix("/").split("/"))
    return {_join(segments), _join(_resolve(segments)), _join(segment for segment in kept_empty if segment)}
