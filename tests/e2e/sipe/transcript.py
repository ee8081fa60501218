"""SIPE's debug log read as HTTP and SIP messages.  Pure.

SIPE logs every message it sends or receives as one debug text between two marker lines, CRLF turned into LF:

    MESSAGE START >>>>>>>>>> HTTP(0x561dbaa3a400) - 2026-11-22T20:03:00.213837Z
    GET /?sipuri=alice@contoso.example HTTP/1.1
    Host: lyncdiscover.contoso.example

    MESSAGE END >>>>>>>>>> HTTP(0x561dbaa3a400) - 2026-11-22T20:03:00.213837Z

with `<` for what came in.  (Source: the log of SIPE 1.25.0.)
"""

import re
from dataclasses import dataclass

# The closing marker must repeat the opening one to the letter, so that a body that quotes a marker is no end.
_BLOCK = re.compile(
    r"\s*MESSAGE START (?P<mark>(?P<arrow>[<>])(?P=arrow)* (?P<protocol>\w+)\(\w+\) - \S+)\n"
    r"(?P<text>.*)\nMESSAGE END (?P=mark)\s*",
    re.DOTALL,
)
_UNFIT_FOR_A_FILE_NAME = re.compile(r"[^A-Za-z0-9]+")


@dataclass(frozen=True)
class Message:
    """One HTTP or SIP message; `direction` is "sent" or "received", `protocol` is "HTTP" or "SIP"."""

    direction: str
    protocol: str
    text: str

    @property
    def start_line(self) -> str:
        return self.text.partition("\n")[0]

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Name and value as sent, in order, repeated ones kept."""
        lines = self.text.partition("\n\n")[0].splitlines()[1:]
        pairs = (line.partition(":") for line in lines)
        return [(name.strip(), value.strip()) for name, colon, value in pairs if colon]

    @property
    def body(self) -> str:
        return self.text.partition("\n\n")[2]

    def header(self, name: str) -> list[str]:
        """Every value of the header `name`, in any case."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def file_name(self, number: int) -> str:
        """A name that sorts in the order of the run, such as `003-received-http-HTTP-1-1-200-OK.txt`."""
        subject = _UNFIT_FOR_A_FILE_NAME.sub("-", self.start_line)[:60].strip("-")
        return f"{number:03}-{self.direction}-{self.protocol.lower()}-{subject}.txt"


def message_in(log_text: str) -> Message | None:
    """The message that one debug text of SIPE holds, or None where it is an ordinary log line."""
    found = _BLOCK.fullmatch(log_text)
    if not found:
        return None
    return Message("sent" if found["arrow"] == ">" else "received", found["protocol"], found["text"])
