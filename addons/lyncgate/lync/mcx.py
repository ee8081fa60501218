"""MCX, the mobility service of Lync 2010, in a wire form that is OUR GUESS.

No document of the real form was found (protocol reference §5, §14), and no real phone has been seen
speaking it. Known, from performance counters and settings: there is `/Mcx/McxService.svc` on front
ends, authenticated by web ticket; sessions are initiated, terminated, and time out; there are polls,
which are long-held connections, a command channel, and push subscriptions. Everything else here is
invented: operations, element names, namespace, SOAP 1.1, that the poll has a path of its own, whether it
is GET or POST, the faults. The split into a command channel and a data channel with an acknowledged
number is that of Communicator Web Access's AJAX API of 2007, which Microsoft did document.

So that what is learnt one day costs no code, all names are data: a `WireForm`. Whoever speaks (the lab's
service and its phones) is given the same one; `WireForm.from_text("poll_method=GET namespace=urn:x")`
makes one from an option or a setting, and DEFAULT is what you get otherwise. Nothing of the edge depends
on it but `lync.stages`, which takes a path with `poll` in it for the poll, as DEFAULT has it.

On the wire, with DEFAULT:

    POST /Mcx/McxService.svc/WebTicket_Bearer     X-MS-WebTicket: cwt=…, SOAPAction: "{namespace}/{operation}"
        InitiateSession  → InitiateSessionResponse    a session, and the user's mobility policy
        Command          → CommandResponse            provisioning, contacts, cards, calls …
        SubscribePush    → SubscribePushResponse      what comes while no poll is held is pushed too
        TerminateSession → TerminateSessionResponse
    POST /Mcx/McxService.svc/Poll
        GetNextEvents    → GetNextEventsResponse      held until something happens or time is up

    with poll_method=GET:  GET /Mcx/McxService.svc/Poll?session=…&ack=1&timeout=900

A failure is a SOAP fault, its code in `detail`, with status 500 as SOAP 1.1 demands, but 403 for a user
whose policy forbids mobility: that much a proxy can see without reading bodies.
"""

from __future__ import annotations

import dataclasses
import functools
import urllib.parse
import xml.etree.ElementTree as ET  # written with; what comes from outside passes safexml
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from lyncgate.lync import safexml

SERVICE_PATH = "/Mcx/McxService.svc"  # no guess: protocol reference §5.1
CONTENT_TYPE = "text/xml; charset=utf-8"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"

# Devices, by what their sessions live (no guess: protocol reference §5.4), in seconds.
SESSION_SECONDS = {"iPhone": 259200, "WindowsPhone": 259200, "Android": 3600, "Nokia": 3600}
PUSH_DEVICES = ("iPhone", "WindowsPhone")  # protocol reference §7
PUSH_PROVIDERS = ("MPNS", "APNS")  # Microsoft's, Apple's


class McxError(ValueError):
    """Not a message of this wire form."""


@dataclasses.dataclass(frozen=True, slots=True)
class WireForm:
    """All that is invented about the wire. `command_suffix` and `poll_suffix` follow the service's URL;
    the first of them is what other services that take a ticket in the body have (§5.2). `names`:
    operation → element name, for those that are not called as here."""

    namespace: str = "urn:lyncgate:mcx:guess"
    command_suffix: str = "/WebTicket_Bearer"
    poll_suffix: str = "/Poll"
    poll_method: str = "POST"  # or GET
    names: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def from_text(cls, text: str) -> WireForm:
        """A form from `field=value` words; a field that is the name of an operation renames it:
        `poll_method=GET InitiateSession=StartSession`. Raises ValueError."""
        fields: dict[str, str] = {}
        names: dict[str, str] = {}
        plain = {field.name for field in dataclasses.fields(cls)} - {"names"}
        for word in text.split():
            key, equals, value = word.partition("=")
            if not equals or not value:
                raise ValueError(f"{word!r} is not field=value")
            if key in plain:
                fields[key] = value
            elif key in _REQUESTS:
                names[key] = value
            else:
                allowed = ", ".join(sorted(plain | set(_REQUESTS)))
                raise ValueError(f"{key!r} is no part of the MCX wire form; there are: {allowed}")
        if fields.get("poll_method", "POST") not in ("GET", "POST"):
            raise ValueError("poll_method is GET or POST")
        return cls(**fields, names=names)

    def element(self, operation: str) -> str:
        """What the operation is called on the wire."""
        return self.names.get(operation, operation)

    def action(self, message: Request) -> str:
        """The value of SOAPAction for a request, quotes included."""
        return f'"{self.namespace}/{self.element(message.operation)}"'


DEFAULT = WireForm()


# -- messages -----------------------------------------------------------------------------------------
# A field is a str, an int, a mapping of str to str, or the events. Its element is its name in CamelCase.


@dataclasses.dataclass(frozen=True, slots=True)
class InitiateSession:
    """`device`: a key of SESSION_SECONDS. `endpoint`: names the device for the registrar (a GUID)."""

    operation: ClassVar[str] = "InitiateSession"
    device: str
    endpoint: str
    user_agent: str
    culture: str = "en-US"


@dataclasses.dataclass(frozen=True, slots=True)
class SessionInitiated:
    """`expires`: seconds the session lives without a request. `ack`: of the first poll. `policy_name`,
    `policy_scope`, `policy`: the mobility policy that applies, its scope (global, site, user) and its
    settings, as text: `EnableOutsideVoice` → `true`."""

    operation: ClassVar[str] = "InitiateSession"
    session: str
    expires: int
    ack: int
    policy_name: str
    policy_scope: str
    policy: Mapping[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class GetNextEvents:
    """The poll. `ack`: number of the answer that is asked for, as the last answer's `next_ack` told;
    `timeout`: seconds it may hang."""

    operation: ClassVar[str] = "GetNextEvents"
    session: str
    ack: int
    timeout: int


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: `kind` (`presence`, `message`, `call` …) and what is to be known of it."""

    kind: str
    fields: Mapping[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Events:
    """What happened since; nothing when the time was over. `resync`: events were lost, or the ack was
    none of ours: ask for everything again, go on with `next_ack`."""

    operation: ClassVar[str] = "GetNextEvents"
    next_ack: int
    events: tuple[Event, ...] = ()
    resync: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Command:
    """The command channel: `name` is one of COMMANDS."""

    operation: ClassVar[str] = "Command"
    session: str
    name: str
    arguments: Mapping[str, str] = dataclasses.field(default_factory=dict)


COMMANDS = {  # command → what the answer's `document` is
    "GetProvisioning": "provisionGroupList XML, see lync.provisioning",
    "GetContacts": "the roaming contact list XML, see lync.contacts",
    "GetContactCard": "presence and card XML of argument `uri`, see lync.contacts",
    "GetPhoto": "Base64 of the picture of argument `uri`; empty when there is none",
    "SetPresence": "nothing; argument `availability`",
}


@dataclasses.dataclass(frozen=True, slots=True)
class CommandDone:
    """The command's answer. `document`: text, often XML, escaped inside the envelope."""

    operation: ClassVar[str] = "Command"
    name: str
    document: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class SubscribePush:
    """`provider`: one of PUSH_PROVIDERS. `token`: the device's address there; in the lab, the one that its
    push relay gave."""

    operation: ClassVar[str] = "SubscribePush"
    session: str
    provider: str
    token: str


@dataclasses.dataclass(frozen=True, slots=True)
class PushSubscribed:
    """`proxy`: SIP URI of the relay that the front end will send to (`sip:push@push.lync.com`)."""

    operation: ClassVar[str] = "SubscribePush"
    proxy: str


@dataclasses.dataclass(frozen=True, slots=True)
class TerminateSession:
    """Sign-out."""

    operation: ClassVar[str] = "TerminateSession"
    session: str


@dataclasses.dataclass(frozen=True, slots=True)
class SessionTerminated:
    """Signed out."""

    operation: ClassVar[str] = "TerminateSession"


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """`code`: one of FAULTS."""

    code: str
    text: str

    @property
    def status(self) -> int:
        """The HTTP status it goes with."""
        return 403 if self.code == "MobilityDisabled" else 500


FAULTS = {
    "InvalidRequest": "not a message of this wire form, or a field without sense",
    "MobilityDisabled": "the mobility policy says EnableMobility False",
    "SessionNotFound": "unknown, terminated or expired: initiate a new one",
    "PollReplaced": "another poll of the same session took this one's place",
    "PushNotAllowed": "the device has no push, or the policy forbids it",
    "RegistrationFailed": "the front end's registrar did not take the user",
}

type Request = InitiateSession | GetNextEvents | Command | SubscribePush | TerminateSession
type Answer = SessionInitiated | Events | CommandDone | PushSubscribed | SessionTerminated

_REQUESTS: dict[str, Callable[..., Request]] = {
    cls.operation: cls for cls in (InitiateSession, GetNextEvents, Command, SubscribePush, TerminateSession)
}
_ANSWERS: dict[str, Callable[..., Answer]] = {
    cls.operation: cls for cls in (SessionInitiated, Events, CommandDone, PushSubscribed, SessionTerminated)
}


# -- writing ------------------------------------------------------------------------------------------


def encode(message: Request | Answer | Fault, form: WireForm = DEFAULT) -> bytes:
    """The body of a request or answer. Raises safexml.XmlError for text that XML can't hold."""
    envelope = ET.Element(f"{{{SOAP}}}Envelope")
    body = ET.SubElement(envelope, f"{{{SOAP}}}Body")
    if isinstance(message, Fault):
        fault = ET.SubElement(body, f"{{{SOAP}}}Fault")
        ET.SubElement(fault, "faultcode").text = "s:Server"
        ET.SubElement(fault, "faultstring").text = message.text
        detail = ET.SubElement(fault, "detail")
        ET.SubElement(detail, f"{{{form.namespace}}}Error", code=message.code)
    else:
        answer = "Response" if type(message) in _ANSWERS.values() else ""
        top = ET.SubElement(body, f"{{{form.namespace}}}{form.element(message.operation)}{answer}")
        for field in dataclasses.fields(message):
            _write(ET.SubElement(top, _tag(field.name, form)), getattr(message, field.name), form)
    return safexml.serialised(envelope)


def encode_poll_query(poll: GetNextEvents) -> str:
    """The query of a poll by GET, without `?`."""
    return urllib.parse.urlencode(dataclasses.asdict(poll))


def _tag(name: str, form: WireForm) -> str:
    return f"{{{form.namespace}}}{_camel(name)}"


@functools.cache  # of our own names
def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _write(element: ET.Element, value: object, form: WireForm) -> None:
    match value:
        case Mapping():
            for name, text in value.items():
                ET.SubElement(element, f"{{{form.namespace}}}Item", name=name).text = text
        case tuple():
            for event in value:
                _write(ET.SubElement(element, _tag("event", form), kind=event.kind), event.fields, form)
        case _:
            element.text = str(value)


# -- reading ------------------------------------------------------------------------------------------


def decode_request(body: bytes, form: WireForm = DEFAULT) -> Request:
    """A request. Raises McxError."""
    return request_in(_parse(body), form)


def request_in(envelope: ET.Element, form: WireForm = DEFAULT) -> Request:
    """The same, of a body that was parsed."""
    return _decode(_content(envelope), _REQUESTS, "", form)


def decode_poll_query(query: str) -> GetNextEvents:
    """A poll that came by GET. Raises McxError."""
    fields = dict(urllib.parse.parse_qsl(query))
    try:
        return GetNextEvents(fields["session"], _integer(fields["ack"]), _integer(fields["timeout"]))
    except KeyError as error:
        raise McxError(f"the poll lacks {error}") from error


def decode_answer(body: bytes, form: WireForm = DEFAULT) -> Answer | Fault:
    """An answer or a fault. Raises McxError."""
    return answer_in(_parse(body), form)


def answer_in(envelope: ET.Element, form: WireForm = DEFAULT) -> Answer | Fault:
    """The same, of a body that was parsed."""
    top = _content(envelope)
    if top.tag == f"{{{SOAP}}}Fault":
        error = top.find(f"detail/{{{form.namespace}}}Error")
        code = error.get("code", "") if error is not None else ""
        return Fault(code or "Unknown", top.findtext("faultstring") or "")
    return _decode(top, _ANSWERS, "Response", form)


def _decode[M](top: ET.Element, known: Mapping[str, Callable[..., M]], suffix: str, form: WireForm) -> M:
    for operation, cls in known.items():
        if top.tag == f"{{{form.namespace}}}{form.element(operation)}{suffix}":
            return cls(**{field.name: _read(top, field, form) for field in _fields(cls)})
    raise McxError(f"{top.tag!r} is no operation")


@functools.cache
def _fields(cls: Any) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(cls)


def _read(top: ET.Element, field: dataclasses.Field[Any], form: WireForm) -> object:
    element = top.find(_tag(field.name, form))
    if element is None:
        raise McxError(f"no {field.name} in {top.tag}")
    return _READERS[str(field.type)](element)


def _items(element: ET.Element) -> dict[str, str]:
    return {item.get("name", ""): item.text or "" for item in element}


def _integer(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise McxError(f"{text[:20]!r} is not a number")
    return int(text)


_READERS: dict[str, Callable[[ET.Element], object]] = {  # by annotation
    "str": lambda element: element.text or "",
    "int": lambda element: _integer(element.text or ""),
    "Mapping[str, str]": _items,
    "tuple[Event, ...]": lambda element: tuple(Event(one.get("kind", ""), _items(one)) for one in element),
}


def _parse(body: bytes) -> ET.Element:
    try:
        return safexml.parse(body)
    except safexml.XmlError as error:
        raise McxError(str(error)) from error


def _content(envelope: ET.Element) -> ET.Element:
    """The one element in the Body."""
    content = envelope.find(f"{{{SOAP}}}Body")
    if content is None or len(content) != 1:
        raise McxError("not a SOAP envelope with one element in its Body")
    return content[0]
