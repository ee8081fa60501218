"""Whom the client trusts, and what it is told when it asks a person.

libpurple verifies certificates itself (NSS: chain, dates, the host name against the SAN).  The authorities of
a test stand beside those of /etc/ssl/certs for this run only.  Where a certificate does not convince it,
libpurple opens a dialogue; here the answer is Reject, unless the run was told to accept.
"""

import ctypes
import re
from pathlib import Path

from .journal import Journal
from .loop import MainLoop
from .purple import ActionCallback, RequestAction, RequestFields, RequestOps, text

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_SHOWN = 1  # any handle but NULL: "the dialogue is open"


def split_bundle(pem: str) -> list[str]:
    """The certificates of a PEM text, one text each, in order; keys and comments are left out."""
    return _CERTIFICATE.findall(pem)


def write_authorities(bundle: str, directory: Path) -> int:
    """Write each certificate of `bundle` to a file of its own, as libpurple reads only the first of a file.

    Returns how many there were.
    """
    directory.mkdir()
    certificates = split_bundle(bundle)
    for number, certificate in enumerate(certificates):
        (directory / f"{number}.pem").write_text(certificate + "\n", encoding="ascii")
    return len(certificates)


class Prompts:
    """Answers libpurple's dialogues through `ops`."""

    def __init__(self, journal: Journal, loop: MainLoop, *, accept: bool) -> None:
        self._journal, self._loop = journal, loop
        self._wanted = "Accept" if accept else "Reject"
        self.ops = RequestOps(
            request_action=RequestAction(self._choose), request_fields=RequestFields(self._fill_in)
        )

    def _choose(
        self,
        title: bytes | None,
        primary: bytes | None,
        secondary: bytes | None,
        _default: int,
        _account: int,
        _who: bytes | None,
        _conversation: int,
        data: int | None,
        count: int,
        actions: int,
    ) -> int:
        """A question with buttons: press the one that we want, from the loop, as a person would."""
        words = pointers(actions, 2 * count)
        labels = [text(ctypes.string_at(label)).replace("_", "") for label in words[::2]]
        pressed = labels.index(self._wanted) if self._wanted in labels else None
        if pressed is not None:
            press = ActionCallback(words[2 * pressed + 1])
            self._loop.call_later(0, lambda: press(data, pressed))
        self._tell((title, primary, secondary), labels, self._wanted if pressed is not None else None)
        return _SHOWN

    def _fill_in(
        self, title: bytes | None, primary: bytes | None, secondary: bytes | None, *_: object
    ) -> int:
        """A form, such as the one for a password.  It stays open: the run has said all it knows."""
        self._tell((title, primary, secondary), [], None)
        return _SHOWN

    def _tell(self, parts: tuple[bytes | None, ...], choices: list[str], answer: str | None) -> None:
        question = " / ".join(" ".join(text(part).split()) for part in parts if part)
        self._journal.log("driver", f"PROMPT {question} {choices} -> {answer or 'no answer'}")
        self._journal.event("prompt", text=question, choices=choices, answer=answer)


def pointers(va_list: int, count: int) -> list[int]:
    """The next `count` pointers of a C va_list.

    How a va_list is laid out differs by machine, but the C library can read its own: we have it print them.
    """
    printed = ctypes.create_string_buffer(count * (2 * ctypes.sizeof(ctypes.c_void_p) + 1) + 1)
    ctypes.CDLL(None).vsnprintf(
        printed, ctypes.c_size_t(len(printed)), b"%zx " * count, ctypes.c_void_p(va_list)
    )
    return [int(digits, 16) for digits in printed.value.split()]
