"""Events without names: who signed in stays hidden, that it was the same one does not.

    alice@contoso.example  →  user-3fa9c1d2e4f5@contoso.example
    CONTOSO\\alice          →  CONTOSO\\user-3fa9c1d2e4f5

The pseudonym is a keyed hash of the part before the `@`, or after the `\\`, in lower case; domains stay.
So one person is one pseudonym in every event as long as their SIP address and account have that part in
common, as is usual; an account that is called otherwise gets a pseudonym of its own. Two people whose
addresses differ in the domain only share theirs.

Replaced is: whatever is written as an address, percent-encoded too, in any field, and the names that the
event itself tells as its user's, as words of its texts and its path. Telephone numbers, of `tel:` or with
their `+`, become `number-` and digits; a display name before `<sip:` becomes `"…"`. Not recognised: other
numbers, display names that stand alone, and names in a text of an event that does not tell whose it is.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable
from typing import Any

import msgspec

from lyncgate.signin.events import Event
from lyncgate.signin.keys import Hasher

DIGITS = 12  # of a pseudonym
_PSEUDONYM = re.compile(rf"user-[0-9a-f]{{{DIGITS}}}")
_ADDRESS = re.compile(
    r"(?<!\w)(?P<scheme>sips?(?::|%3a))?(?P<name>\w(?:[\w.+'!#$*^`{|}~-]|%[0-9a-f]{2}){0,128}?)"
    r"(?P<at>@|%40)(?=[a-z0-9])",
    re.IGNORECASE,
)
_TEL = re.compile(r"(?P<scheme>\btel(?::|%3a))(?P<number>(?:\+|%2b)?\d(?:[\d().-]{0,30}\d)?)", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w+/=])(?P<number>(?:\+|%2b)\d(?:[ ().-]{0,2}\d){6,17})(?![\w=])", re.IGNORECASE)
_DISPLAY = re.compile(r"""(?:"[^"\n]{1,128}"|(?:[^\W\d_a-z][\w.'-]{0,64}[ ]){1,4})[ ]?(?=<(?:sips?|tel):)""")
_ACCOUNTS = ("account", "ntlm_user")
_USERS = ("user", "sip_user", *_ACCOUNTS)
_TEXTS = (
    *("path", "detail", "diagnostics", "diagnostics_text", "reason", "warning", "text", "settings"),
    *("title", "error_text"),
)
_SHORTEST = 3  # characters: shorter names are not looked for as words, they would be found everywhere


def pseudonymise(event: Event, hasher: Hasher) -> Event:
    """The event with every user's name replaced. Doing it twice changes nothing more."""
    names = {name for value in _values(event) if (name := _name(value)) and not _PSEUDONYM.fullmatch(name)}
    found = sorted((n for n in names if len(n) >= _SHORTEST), key=len, reverse=True)
    spelt = [spelling for name in found for spelling in {name, urllib.parse.quote(name)}]
    words = "|".join(map(re.escape, spelt))
    own = re.compile(rf"(?<![^\W_])(?:{words})(?![^\W_])", re.IGNORECASE) if words else None

    def address(found: re.Match[str]) -> str:
        name = urllib.parse.unquote(found["name"])
        if _PSEUDONYM.fullmatch(name):
            return found[0]
        return f"{found['scheme'] or ''}{pseudonym(name, hasher)}{found['at']}"

    def word(found: re.Match[str]) -> str:
        return pseudonym(urllib.parse.unquote(found[0]), hasher)

    def number(found: re.Match[str]) -> str:
        digits = re.sub(r"\D", "", urllib.parse.unquote(found["number"]))
        scheme = found["scheme"] if "scheme" in found.re.groupindex else ""
        return f"{scheme}number-{hasher(b'number:' + digits.encode())[:DIGITS]}"

    def rewrite(field: str, text: str) -> str:
        if field in _USERS:
            return _account(text, hasher)
        if field in _TEXTS:
            text = _DISPLAY.sub('"…" ', text)
            text = own.sub(word, text) if own else text
        text = _TEL.sub(number, _ADDRESS.sub(address, text))
        return _NUMBER.sub(number, text) if field in _TEXTS else text

    hidden: Event = _rewritten(event, rewrite)
    return hidden


def pseudonym(name: str, hasher: Hasher) -> str:
    """`user-` and twelve hex digits for a name without its domain."""
    return f"user-{hasher(b'user:' + name.lower().encode('utf-8', 'surrogatepass'))[:DIGITS]}"


def _values(event: Event) -> list[str | None]:
    """What the event says of whose it is: addresses and accounts."""
    return [
        event.keys.user,
        event.keys.account,
        getattr(event, "sip_user", None),
        getattr(event, "ntlm_user", None),
    ]


def _split(account: str) -> tuple[str, str, str]:
    """What stands before the name, the name, and what stands behind it."""
    domain, backslash, rest = account.rpartition("\\")
    name, at, host = rest.rpartition("@") if "@" in rest else (rest, "", "")
    return domain + backslash, name, at + host


def _name(account: str | None) -> str | None:
    return (_split(account)[1] or None) if account else None


def _account(account: str, hasher: Hasher) -> str:
    before, name, behind = _split(account)
    if not name or _PSEUDONYM.fullmatch(name):
        return account
    return f"{before}{pseudonym(name, hasher)}{behind}"


def _rewritten(value: Any, rewrite: Callable[[str, str], str], field: str = "") -> Any:
    """A value with every text in it replaced by `rewrite(field, text)`; enumerations are not texts."""
    if type(value) is str:
        return rewrite(field, value)
    if isinstance(value, tuple):
        return tuple(_rewritten(item, rewrite, field) for item in value)
    if isinstance(value, msgspec.Struct):
        changes = {
            name: new
            for name in value.__struct_fields__
            if (new := _rewritten(old := getattr(value, name), rewrite, name)) is not old
        }
        return msgspec.structs.replace(value, **changes) if changes else value
    return value
