r"""Dial plans: how what a user dials becomes a number, by rules that the server hands to the client.

    plan = DialPlan("Amsterdam", (Rule(r"^(1\d{3})$", "+3120555$1", internal=True),
                                  Rule(r"^0([1-9]\d{8})$", "+31$1")))
    plan.normalise("020 555 0101").number    # "+31205550101"

A rule is a .NET regular expression with a .NET replacement pattern ([MS-SIPRE] §2.2.8.2, MC-RegEx); the
rules are tried in their order and the first that matches is applied (Set-CsVoiceNormalizationRule,
Priority). On the wire a plan is a "location profile", the name that OCS 2007 gave to it:

    <LocationProfileDescription xmlns="http://schemas.microsoft.com/2007/03/LocationProfileDescription">
      <Name>Amsterdam</Name>
      <Rule><Pattern>^0([1-9]\d{8})$</Pattern><Translation>+31$1</Translation>…</Rule>
      <ExternalAccessPrefix>0</ExternalAccessPrefix><OptimizeDeviceDialing>false</OptimizeDeviceDialing>
    </LocationProfileDescription>

Element names and order are those of [MS-SIPRE] appendix B. Clients fetch it by SIP SERVICE ([MS-SIPRE]
§3.8.5.1). Our guesses: what a client removes from what was dialled, that a number with + is left alone,
and that text around the match of an unanchored pattern stays (as Regex.Replace does).

A pattern can be made to take exponential time, as in every backtracking engine; what is dialled is
therefore cut short, and plans come from a server that the client trusts.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import xml.etree.ElementTree as ET  # written with; what comes from outside passes safexml

from lyncgate.lync import safexml

NAMESPACE = "http://schemas.microsoft.com/2007/03/LocationProfileDescription"
CONTENT_TYPE = "application/ms-location-profile-definition+xml"

LONGEST_NUMBER = 64  # characters that can be dialled; E.164 has 15 digits, extensions and prefixes some more
_DECORATION = str.maketrans("", "", " \t\r\n\u00a0-.()/")
_SUBSTITUTION = re.compile(r"\$(?:(?P<number>\d+)|\{(?P<name>\w+)\}|(?P<sign>[$&`'+_]))", re.ASCII)
# Where .NET writes otherwise than Python; an escaped character is passed over.
_DIALECT = re.compile(r"\\z|\\Z|\\k<(?P<known>\w+)>|\\.|\(\?<(?=[A-Za-z_])|\(\?'(?P<quoted>\w+)'", re.DOTALL)


class DialPlanError(ValueError):
    """No dial plan, or a rule that is no regular expression."""


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """`internal`: the result is a number of the company itself. `device_dialing`: a device may use the rule
    while digits are still being dialled."""

    pattern: str
    translation: str
    internal: bool = False
    device_dialing: bool = False

    def apply(self, dialled: str) -> str | None:
        """The number, or None when the pattern does not match. Raises DialPlanError for a bad pattern."""
        pattern = compiled(self.pattern)
        if pattern.search(dialled) is None:
            return None
        return pattern.sub(lambda match: _expand(self.translation, match), dialled)


@dataclasses.dataclass(frozen=True, slots=True)
class Normalised:
    """`number`: what will be called. `rule`: the one that made it, None: none was needed, or none matched."""

    number: str
    rule: Rule | None


@dataclasses.dataclass(frozen=True, slots=True)
class DialPlan:
    """`external_access_prefix`: what is dialled to get an outside line, or ""."""

    name: str
    rules: tuple[Rule, ...]
    external_access_prefix: str = ""
    optimize_device_dialing: bool = False

    def normalise(self, dialled: str) -> Normalised:
        """What a client makes of a number as it was dialled. Raises DialPlanError for a bad pattern."""
        number = dialled.translate(_DECORATION)[:LONGEST_NUMBER]
        if not number.startswith("+"):
            for rule in self.rules:
                if (result := rule.apply(number)) is not None:
                    return Normalised(result, rule)
        return Normalised(number, None)


@functools.cache
def compiled(pattern: str) -> re.Pattern[str]:
    """A .NET pattern as Python's. Raises DialPlanError."""
    try:
        return re.compile(_DIALECT.sub(_translate, pattern))
    except (re.error, RecursionError, OverflowError) as error:
        raise DialPlanError(f"{pattern!r} is no regular expression: {error}") from error


def _translate(found: re.Match[str]) -> str:
    if found["quoted"]:
        return f"(?P<{found['quoted']}>"
    if found["known"]:
        return f"(?P={found['known']})"
    match found[0]:
        case r"\z":
            return r"\Z"
        case r"\Z":
            return r"(?=\n?\Z)"
        case "(?<":
            return "(?P<"
        case other:
            return other


def _expand(translation: str, match: re.Match[str]) -> str:
    """A replacement pattern with its substitutions made: $1 ${name} $$ $& $` $' $+ $_. A group that took
    no part is empty; a `$` that names nothing stands for itself, as in .NET."""

    def substitute(found: re.Match[str]) -> str:
        if found["sign"]:
            return _special(found["sign"], match)
        group = found["name"] or found["number"]
        if group.isdecimal():
            return (match[int(group)] or "") if int(group) <= match.re.groups else found[0]
        return (match[group] or "") if group in match.re.groupindex else found[0]

    return _SUBSTITUTION.sub(substitute, translation)


def _special(sign: str, match: re.Match[str]) -> str:
    match sign:
        case "$":
            return "$"
        case "&":
            return match[0]
        case "`":
            return match.string[: match.start()]
        case "'":
            return match.string[match.end() :]
        case "+":
            return (match[match.re.groups] or "") if match.re.groups else match[0]
        case _:
            return match.string


# -- on the wire ------------------------------------------------------------------------------------


def document(plan: DialPlan) -> bytes:
    """The plan as a location profile description."""
    return safexml.serialised(element(plan))


def element(plan: DialPlan) -> ET.Element:
    """The same, to stand in another document."""
    top = ET.Element("LocationProfileDescription", xmlns=NAMESPACE)
    ET.SubElement(top, "Name").text = plan.name
    for rule in plan.rules:
        written = ET.SubElement(top, "Rule")
        ET.SubElement(written, "Pattern").text = rule.pattern
        ET.SubElement(written, "Translation").text = rule.translation
        ET.SubElement(written, "InternalEnterpriseExtension").text = _word(rule.internal)
        ET.SubElement(written, "ApplicableForDeviceDialing").text = _word(rule.device_dialing)
    if plan.external_access_prefix:
        ET.SubElement(top, "ExternalAccessPrefix").text = plan.external_access_prefix
    ET.SubElement(top, "OptimizeDeviceDialing").text = _word(plan.optimize_device_dialing)
    return top


def parse(body: bytes) -> DialPlan:
    """The plan of a location profile description. Raises DialPlanError, for a bad pattern too."""
    try:
        return read(safexml.parse(body))
    except safexml.XmlError as error:
        raise DialPlanError(str(error)) from error


def read(top: ET.Element) -> DialPlan:
    """The same, of an element. Namespaces are not looked at: the schema leaves it open which names of
    a rule are qualified."""
    if safexml.local(top) != "LocationProfileDescription":
        raise DialPlanError(f"found {safexml.local(top)}, no LocationProfileDescription")
    rules = []
    for written in top:
        if safexml.local(written) == "Rule":
            given = {safexml.local(child): child.text or "" for child in written}
            if "Pattern" not in given or "Translation" not in given:
                raise DialPlanError("a Rule without Pattern or Translation")
            rules.append(
                Rule(
                    given["Pattern"],
                    given["Translation"],
                    internal=_truth(given.get("InternalEnterpriseExtension")),
                    device_dialing=_truth(given.get("ApplicableForDeviceDialing")),
                )
            )
            compiled(given["Pattern"])
    given = {safexml.local(child): child.text or "" for child in top}
    return DialPlan(
        given.get("Name", ""),
        tuple(rules),
        given.get("ExternalAccessPrefix", ""),
        optimize_device_dialing=_truth(given.get("OptimizeDeviceDialing")),
    )


def _word(truth: bool) -> str:
    return "true" if truth else "false"


def _truth(text: str | None) -> bool:
    """xsd:boolean; absent is false."""
    return text is not None and text.strip().lower() in ("true", "1")
