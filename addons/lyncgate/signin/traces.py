"""Events of a front end's or Access Edge's trace (`lync.tracefile`): SIP messages and lines of components.

    reader = TraceReader("fe01", hasher)
    for line in lines:
        for event in reader.line(line): …
    for event in reader.end(): …

A request is told twice if its answer is in the same trace: when it is read, and with `seconds` when the
answer came; both have the same id. The user of a message is who it is done for: From's address, of what a
server sends to a client To's. Lines of components are kept if they tell of a user, an endpoint or a
dialog, or of something wrong. Nothing of a message's body is kept but what provisioning and contact lists
say, nothing of Authorization but the user of NTLM, and texts are without secrets (`signin.redact`).
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator

import msgspec

from lyncgate.lync import contacts, names, ntlm, provisioning
from lyncgate.lync.tracefile import Record, TraceParser
from lyncgate.signin import settings
from lyncgate.signin.events import TEXT_LIMIT, SipMessage, TraceLine
from lyncgate.signin.facts import SETTINGS, VALUE_LIMIT
from lyncgate.signin.keys import Hasher, Keys
from lyncgate.signin.plain import plain
from lyncgate.signin.redact import Redactor

_PENDING = 4096  # requests that may wait for their answers at once
_NAME = 128  # characters of a key
_SHORT = 64
_LARGEST = 999_999_999
_TO_CLIENT = ("NOTIFY", "BENOTIFY")
_NOT_FINE = ("TL_FATAL", "TL_ERROR", "TL_WARN")
_STATUS = re.compile(r"SIP/2\.0\s+(\d{3})(?:\s+(.*))?", re.IGNORECASE | re.DOTALL)
_REQUEST = re.compile(r"([A-Za-z]{1,32})\s+\S+\s+SIP/2\.0", re.ASCII)
_METHOD = re.compile(r"[A-Za-z]{1,32}", re.ASCII)
_ADDRESS = re.compile(
    r"\bsips?:([^\s;?<>@\"]{1,256}@[^\s;?:<>\"]{1,256})"
    r"|(?<![\w.@:/-])([\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64})+)",
    re.IGNORECASE,
)
_URI = re.compile(r"sips?:(?:[^@\s<>;]{1,256}@)?(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(:\d{1,5})?", re.IGNORECASE)
_EPID = re.compile(r";\s*epid=([\w-]{1,64})", re.ASCII | re.IGNORECASE)
_ENDPOINT = re.compile(
    r"\b(?:epid|endpoint)\s{0,4}[=:]\s{0,4}([0-9A-Fa-f]{4,64})\b", re.ASCII | re.IGNORECASE
)
_CALL_ID = re.compile(r"\bcall-?id\s{0,4}[=:]\s{0,4}([^\s,;<>\"')]{1,128})", re.ASCII | re.IGNORECASE)
_PLAIN_ID = re.compile(r"[\w.@%+-]{1,72}", re.ASCII)
_NTLM = re.compile(r'\bgssapi-data="(TlRMTVNTUA[A-Za-z0-9+/=]+)"')
_PROVISIONING = re.compile(r"<(?:\w+:)?provisionGroupList\b.*?</(?:\w+:)?provisionGroupList\s*>", re.DOTALL)
_CONTACTS = re.compile(r"<(?:\w+:)?contactList\b(?:[^>]*/>|.*?</(?:\w+:)?contactList\s*>)", re.DOTALL)

type Told = SipMessage | TraceLine
type _Waiting = tuple[str, str, str, bool]  # origin, Call-ID, CSeq, came in


class TraceReader:
    """Reads one trace. `server`: who wrote it, for records that don't say so themselves."""

    def __init__(self, server: str, hasher: Hasher) -> None:
        self._server = server.lower()[:_SHORT]
        self._hasher = hasher
        self._redactor = Redactor(hasher)
        self._parser = TraceParser()
        self._waiting: OrderedDict[_Waiting, SipMessage] = OrderedDict()

    def line(self, line: str) -> Iterator[Told]:
        """The events of the record that this line ends."""
        if record := self._parser.line(line):
            yield from self._events(record)

    def end(self) -> Iterator[Told]:
        """The events of a record that is not over yet. Reading may go on after."""
        if record := self._parser.end():
            yield from self._events(record)

    def _events(self, record: Record) -> Iterator[Told]:
        if start := record.field("start-line"):
            if message := self._message(record, start):
                yield from self._paired(message, record.field("cseq") or "")
        elif line := self._line(record):
            yield line

    # -- SIP ------------------------------------------------------------------------------------------

    def _message(self, record: Record, start: str) -> SipMessage | None:
        """None: the start line is none of SIP's."""
        number, _, method = (record.field("cseq") or "").strip().partition(" ")
        answer = _STATUS.fullmatch(start)
        request = None if answer else _REQUEST.match(start)
        if not (answer or request):
            return None
        asked = request[1] if request else method.strip()
        asked = asked.upper() if _METHOD.fullmatch(asked) else "_other"
        told, listed = _document(record.body)
        return SipMessage(
            id=self._id(record, start),
            started=record.time,
            origin=self._origin(record),
            keys=self._keys(record, asked),
            incoming=(record.field("direction") or "").lower().startswith("incoming"),
            peer=_text(record.field("peer"), _NAME),
            method=asked,
            status=int(answer[1]) if answer else None,
            reason=_text(answer[2], _SHORT) if answer else None,
            cseq=_number(number),
            package=_text((record.field("event") or "").partition(";")[0], _SHORT),
            contact=_host(record.field("contact")),
            diagnostics=self._safe(record.field("ms-diagnostics"), 2 * VALUE_LIMIT),
            settings=told,
            contacts=listed,
        )

    def _paired(self, message: SipMessage, cseq: str) -> Iterator[SipMessage]:
        """The message; before a final answer, its request once more with the time that it took."""
        dialog = message.keys.dialog or ""
        if message.status is None:
            self._waiting[message.origin, dialog, cseq, message.incoming] = message
            if len(self._waiting) > _PENDING:
                self._waiting.popitem(last=False)
        elif message.status >= 200:
            asked = self._waiting.pop((message.origin, dialog, cseq, not message.incoming), None)
            if asked is not None:
                yield msgspec.structs.replace(
                    asked, seconds=round(max(0.0, message.started - asked.started), 6)
                )
        yield message

    def _keys(self, record: Record, method: str) -> Keys:
        sides = [record.field(name) or "" for name in ("from", "to")]
        if method in _TO_CLIENT:
            sides.reverse()
        users = [_user(side) for side in sides]
        user = users[0] or users[1]
        epid = _EPID.search(sides[0] if users[0] else sides[1])
        return Keys(
            endpoint=epid[1].lower() if epid else None,
            dialog=self._dialog(record.field("call-id")),
            user=user,
            account=_account(record),
            agent=_text(record.field("user-agent"), _NAME),
        )

    # -- diagnostics and components -------------------------------------------------------------------

    def _line(self, record: Record) -> TraceLine | None:
        """None: it tells of nobody, and of nothing wrong."""
        text, keys = record.text, self._said(record.text)
        if record.fields:
            known = (record.field(name) for name in ("text", "sip-start-line", "data"))
            text = "; ".join(part for part in known if part)
            said = self._said(text)
            dialog = self._dialog(record.field("sip-call-id"))
            keys = Keys(endpoint=said.endpoint, dialog=dialog or said.dialog, user=said.user)
        wrong = record.level in _NOT_FINE or record.result is not None
        if not wrong and not (keys.user or keys.exact):
            return None
        return TraceLine(
            id=self._id(record, text),
            started=record.time,
            origin=self._origin(record),
            keys=keys,
            level=record.level[:_SHORT],
            component=plain(record.component, _SHORT),
            function=plain(record.function, _NAME),
            text=self._safe(text, TEXT_LIMIT) or "",
            result=_text(record.result, _NAME),
        )

    def _said(self, text: str) -> Keys:
        """Whose doing a free text tells of: the first address, endpoint and Call-ID in it."""
        text = text[: 8 * TEXT_LIMIT]
        endpoint, call = _ENDPOINT.search(text), _CALL_ID.search(text)
        return Keys(
            endpoint=endpoint[1].lower() if endpoint else None,
            dialog=self._dialog(call[1]) if call else None,
            user=_user(text),
        )

    # -- both -----------------------------------------------------------------------------------------

    def _origin(self, record: Record) -> str:
        server = (record.server or "").partition(".")[0][:_SHORT]
        return f"trace:{plain(server or self._server, _SHORT) or 'unknown'}"

    def _id(self, record: Record, text: str) -> str:
        """The same for the same record in the same server's trace, read again."""
        return self._hasher(f"{self._origin(record)}\n{record.head}\n{text}".encode("utf-8", "surrogatepass"))

    def _dialog(self, call_id: str | None) -> str | None:
        """A Call-ID; a hash of one that has other characters than they have, or more of them."""
        if not call_id:
            return None
        return call_id if _PLAIN_ID.fullmatch(call_id) else self._hasher(call_id.encode("utf-8", "replace"))

    def _safe(self, text: str | None, limit: int) -> str | None:
        """A text from outside, in one line, without secrets. Cut before it is searched for them, too."""
        return plain(self._redactor.text(text[: 8 * limit]), limit) or None if text else None


def _document(body: str) -> tuple[tuple[tuple[str, str], ...], int | None]:
    """What provisioning says in a body, and how many contacts a list has; also inside a multipart body."""
    try:
        if found := _PROVISIONING.search(body):
            said = settings.of_provisioning(provisioning.parse(found[0].encode("utf-8", "replace")))
            return tuple((plain(n, _SHORT), plain(v)) for n, v in said[:SETTINGS]), None
        if found := _CONTACTS.search(body):
            return (), len(contacts.parse_roaming(found[0].encode("utf-8", "replace")).contacts)
    except (provisioning.ProvisioningError, contacts.ContactsError):
        pass  # cut, or of a form that we don't know
    return (), None


def _user(text: str) -> str | None:
    """The first SIP address of a person in a header's value or in a text."""
    for found in _ADDRESS.finditer(text):
        address = names.sip_address((found[1] or found[2]).rstrip("."))
        if address and not address.rpartition("@")[2].replace(".", "").isdecimal():  # nobody's: a Call-ID
            return address[:_NAME]
    return None


def _account(record: Record) -> str | None:
    credentials = record.field("authorization") or record.field("proxy-authorization") or ""
    found = _NTLM.search(credentials)
    return ntlm.user([(b"authorization", b"NTLM " + found[1].encode())]) if found else None


def _host(contact: str | None) -> str | None:
    """`host:port` of a Contact."""
    found = _URI.search(contact or "")
    return (found[1] + (found[2] or ""))[:_NAME] if found else None


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and int(text[:10]) <= _LARGEST else None


def _text(text: str | None, limit: int) -> str | None:
    return plain(text, limit) or None if text else None
