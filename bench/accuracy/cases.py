"""How each fault of the lab is met, and from where it is watched: what a person would do who had to.

What a pool, its directory or DNS does wrong shows at our edge. What somebody else's proxy does wrong shows
in a capture before that proxy, run as `lyncgate capture --reverse` is. What no sign-in shows, `lyncgate
probe` asks for. DNS has its log and servers have their traces in all of them.
"""

from __future__ import annotations

import dataclasses

import acts
from acts import Act
from vantage import Vantage

from lyncgate.lab.dns.estate import View

PASSIVE, PASSWORD = "urn:microsoft.rtc:passive", "password"
OTHERS = ("user40@contoso.example", "user41@contoso.example")


@dataclasses.dataclass(frozen=True)
class Case:
    """`before`: what the same user did when all was well; `act`: what is done now, by `lyncgate probe` if
    None. `others`: who signs in beside, by the same way; `past`: who does by a way that is fine. `amount`: of
    the fault. `inside`: in the company's network. `elsewhere`: healthy sign-ins at another site are in the
    same heap; not where DNS is wrong for all of a domain, whose users there would be told another thing.
    `now_and_then`: it takes some attempts until the user does not get in, and only then somebody complains.
    `note`: what can't be told apart, for the table."""

    vantage: Vantage | None
    act: Act | None = acts.sign_in
    before: Act | None = None
    others: tuple[str, ...] = OTHERS
    past: tuple[str, ...] = ("user45@contoso.example",)
    amount: str = ""
    inside: View = View.EXTERNAL
    old_clients: bool = False
    web_apps: str | None = None
    elsewhere: bool = True
    now_and_then: bool = False
    note: str = ""


EDGE, CAPTURE = Case(Vantage.EDGE), Case(Vantage.CAPTURE)
PROBE = Case(None, None)
_but = dataclasses.replace

_ONE_OF_TWO = _but(CAPTURE, now_and_then=True)
_SAME_WIRE = "401 after a whole handshake looks the same for F20, F21, F22 and F32: "

CASES: dict[str, Case] = {
    "F01": _but(EDGE, elsewhere=False, note="by the DNS log: nothing else is seen"),
    "F02": _but(
        EDGE, elsewhere=False, note="by the DNS log, and the edge for the rest; the phone waits half a minute"
    ),
    "F03": CAPTURE,
    "F04": _but(CAPTURE, note="told from F03 by the alias in the DNS log"),
    "F05": CAPTURE,
    "F06": _but(CAPTURE, act=acts.old_phone, note="an old client's handshake; nobody is named"),
    "F07": CAPTURE,
    "F08": _but(CAPTURE, note="F13 is named as possible: a pool without autodiscover answers alike"),
    "F09": CAPTURE,
    "F10": CAPTURE,
    "F11": CAPTURE,
    "F12": CAPTURE,
    "F13": CAPTURE,
    "F14": CAPTURE,
    "F15": CAPTURE,
    "F16": EDGE,
    "F17": EDGE,
    "F18": CAPTURE,
    "F19": _but(
        CAPTURE,
        act=acts.sip,
        note="a desktop client, which got nowhere by discovery; its SIP connection names nobody, and is "
        "known by that among the clients behind one address",
    ),
    "F20": _but(
        CAPTURE,
        others=("user40@contoso.example", "user41@contoso.example", "user42@contoso.example"),
        note=_SAME_WIRE + "told by others being refused too; `lyncgate probe --second-try` tells for certain",
    ),
    "F21": _but(
        EDGE,
        before=acts.logged_on_as(
            password="N3w-alice"
        ),  # as the fault has it: what is typed now is the old one
        note=_SAME_WIRE + "told by an earlier sign-in of that name",
    ),
    "F22": _but(
        EDGE,
        before=acts.logged_on_as(account="alice.adams@contoso.example"),
        note=_SAME_WIRE + "told by an earlier sign-in by another name; without one it is named second",
    ),
    "F23": EDGE,
    "F24": EDGE,
    "F25": EDGE,
    "F26": CAPTURE,
    "F27": _but(EDGE, act=acts.application(PASSWORD), note="an application with OAuth"),
    "F28": _but(EDGE, act=acts.application(PASSIVE), note="an application with OAuth"),
    "F29": _but(EDGE, act=acts.application(PASSWORD), note="an application with OAuth"),
    "F30": EDGE,
    "F31": _but(
        EDGE,
        act=acts.application(PASSWORD, origin="https://portal.contoso.example"),
        note="a web application",
    ),
    "F32": _but(
        EDGE, note=_SAME_WIRE + "named first when the user was never seen and others are, as possible only"
    ),
    "F33": CAPTURE,
    "F34": _but(EDGE, now_and_then=True, note="told from F36 by other requests to the same server"),
    "F35": EDGE,
    "F36": _but(EDGE, act=acts.in_a_crowd, amount="6", others=(), note="told from F34 as that is from it"),
    "F37": _but(CAPTURE, act=acts.stay, amount="1"),
    "F38": _but(CAPTURE, act=acts.stay, amount="0.5"),
    "F39": _ONE_OF_TWO,
    "F40": EDGE,
    "F41": _but(EDGE, note="certain with a front end's trace, likely without"),
    "F42": _ONE_OF_TWO,
    "F43": _ONE_OF_TWO,
    "F44": _ONE_OF_TWO,
    "F45": _but(PROBE, inside=View.INTERNAL, note="a probe inside: who is outside notices nothing"),
    "F46": EDGE,
    "F47": CAPTURE,
    "F48": CAPTURE,
    "F49": _but(EDGE, act=acts.background, note="by traces: what the Access Edge answered to MESSAGE"),
    "F50": _but(PROBE, web_apps="owa.contoso.example", note="a probe that is told the name (--web-apps)"),
}
