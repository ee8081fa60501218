"""Streams made by rules and dice: the same ones every time."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

from differential.messages import Request
from differential.streams import HOST, WEB, Kind, Need, Stream, odd

SEED = 9112
TOKEN = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.!#$%&'*+^`|~"
VALUE = bytes(range(0x21, 0x7F)) + b"  \t" + bytes([0x80, 0xC3, 0xA9, 0xFF])
PATH = b"abcxyzABC0123-_.~!$&'()*+,;=:@/"
QUERY = PATH + b"?%41"
PROBES = [
    *range(0x21),
    0x22,
    0x28,
    0x29,
    0x2C,
    0x2F,
    0x3A,
    0x3B,
    0x3D,
    0x40,
    0x5B,
    0x5C,
    0x5D,
    0x7B,
    0x7F,
    0x80,
    0x85,
    0xA0,
    0xFF,
]

# Where a byte is put in, one after the other: at the two braces.
PLACES = {
    "the method": b"GE{}T /p HTTP/1.1\r\n%s\r\n",
    "before the target": b"GET {}/p HTTP/1.1\r\n%s\r\n",
    "the target": b"GET /p{}q HTTP/1.1\r\n%s\r\n",
    "the query": b"GET /p?q={}r HTTP/1.1\r\n%s\r\n",
    "before the version": b"GET /p {}HTTP/1.1\r\n%s\r\n",
    "the version": b"GET /p HTTP/1{}.1\r\n%s\r\n",
    "behind the version": b"GET /p HTTP/1.1{}\r\n%s\r\n",
    "before a name": b"GET /p HTTP/1.1\r\n%s{}X-P: q\r\n\r\n",
    "a name": b"GET /p HTTP/1.1\r\n%sX-{}P: q\r\n\r\n",
    "behind a name": b"GET /p HTTP/1.1\r\n%sX-P{}: q\r\n\r\n",
    "before a value": b"GET /p HTTP/1.1\r\n%sX-P:{}q\r\n\r\n",
    "a value": b"GET /p HTTP/1.1\r\n%sX-P: q{}r\r\n\r\n",
    "behind a value": b"GET /p HTTP/1.1\r\n%sX-P: q{}\r\n\r\n",
    "between CR and LF": b"GET /p HTTP/1.1\r\n%sX-P: q\r{}\n\r\n",
    "before the empty line": b"GET /p HTTP/1.1\r\n%s{}\r\n",
    "Host": b"GET /p HTTP/1.1\r\nX-P: %%\r\nHost: lyncweb{}.contoso.example\r\n\r\n",
    "a length": b"POST /p HTTP/1.1\r\n%sContent-Length: 5{}\r\n\r\nhello",
    "before a length": b"POST /p HTTP/1.1\r\n%sContent-Length:{}5\r\n\r\nhello",
    "the name of a length": b"POST /p HTTP/1.1\r\n%sContent-Length{}: 5\r\n\r\nhello",
    "a coding": b"POST /p HTTP/1.1\r\n%sTransfer-Encoding: chunked{}\r\n\r\n0\r\n\r\n",
    "before a coding": b"POST /p HTTP/1.1\r\n%sTransfer-Encoding:{}chunked\r\n\r\n0\r\n\r\n",
    "the name of a coding": b"POST /p HTTP/1.1\r\n%sTransfer-Encoding{}: chunked\r\n\r\n0\r\n\r\n",
    "a chunk size": b"POST /p HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n\r\n5{}\r\nhello\r\n0\r\n\r\n",
    "before a chunk size": b"POST /p HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n\r\n{}5\r\nhello\r\n0\r\n\r\n",
    "a chunk extension": b"POST /p HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n\r\n5;a={}b\r\nhello\r\n0\r\n\r\n",
    "behind a chunk": b"POST /p HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n\r\n5\r\nhello{}\r\n0\r\n\r\n",
    "behind the last chunk": b"POST /p HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n\r\n0\r\n{}\r\n",
    "between two requests": b"GET /p HTTP/1.1\r\n%s\r\n{}GET /q HTTP/1.1\r\n%s\r\n",
}


def probes() -> Iterator[Stream]:
    """Every byte that some reader may take for another, at every place."""
    for place, template in PLACES.items():
        before, after = template.replace(b"%s", HOST).replace(b"%%", b"%").split(b"{}")
        for byte in PROBES:
            yield odd(f"{byte:#04x}: {place}", before + bytes([byte]) + after)


class Maker:
    """Valid requests, from dice."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)

    def text(self, letters: bytes, least: int, most: int) -> bytes:
        return bytes(self.dice.choices(letters, k=self.dice.randint(least, most)))

    def fields(self) -> list[tuple[bytes, bytes]]:
        made = []
        for _ in range(self.dice.randrange(6)):
            made.append((b"X-" + self.text(TOKEN, 1, 12), self.text(VALUE, 0, 30).strip(b" \t")))
        return made

    def request(self, number: int) -> tuple[Request, bytes]:
        """What it is, and one way to write it."""
        dice = self.dice
        method = dice.choice(
            [b"GET", b"GET", b"POST", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"HEAD", b"PATCH"]
        )
        path = b"/%d/" % number + self.text(PATH, 0, 20).replace(b"..", b".").replace(b";", b"").replace(
            b"//", b"/"
        )
        target = path + (b"?" + self.text(QUERY, 0, 20) if dice.random() < 0.4 else b"")
        fields = self.fields()
        body, written = b"", b""
        framing: list[tuple[bytes, bytes]] = []
        if method in (b"POST", b"PUT", b"PATCH"):
            body = dice.randbytes(dice.choice([0, 1, 5, 50, 500]))
            if dice.random() < 0.5:
                framing, written = [(b"Content-Length", b"%d" % len(body))], body
            else:
                framing, written = [(b"Transfer-Encoding", b"chunked")], self.chunks(body)
        fields = [*fields, (b"Host", WEB), *framing]
        dice.shuffle(fields)
        lines = [method + b" " + target + b" HTTP/1.1", *(self.written(*field) for field in fields)]
        data = b"\r\n".join(lines) + b"\r\n\r\n" + written
        return Request(method, target, fields, body), data

    def written(self, name: bytes, value: bytes) -> bytes:
        return (
            name
            + b":"
            + self.dice.choice([b" ", b" ", b" ", b"", b"\t", b"  "])
            + value
            + self.dice.choice([b"", b"", b" "])
        )

    def chunks(self, body: bytes) -> bytes:
        written, at = b"", 0
        while at < len(body):
            size = self.dice.randint(1, len(body) - at)
            digits = self.dice.choice([b"%x", b"%X", b"0%x"]) % size
            written += digits + b"\r\n" + body[at : at + size] + b"\r\n"
            at += size
        return written + b"0\r\n\r\n"


def valid_ones(count: int) -> Iterator[Stream]:
    maker = Maker(SEED)
    for number in range(count):
        length = 1 if number % 3 else maker.dice.randint(2, 8)
        made = [maker.request(at) for at in range(length)]
        needs = frozenset({Need.PIPELINE}) if length > 1 else frozenset()
        yield Stream(
            f"made {number}",
            b"".join(data for _, data in made),
            Kind.VALID,
            needs,
            length,
            tuple(request for request, _ in made),
        )


def mutants(of: Iterable[Stream], count: int) -> Iterator[Stream]:
    """Valid and other streams, each with a byte or a line that is not as it was."""
    dice = random.Random(SEED + 1)
    parents = [stream for stream in of if 20 < len(stream.data) < 2000 and not stream.half_close]
    for number in range(count):
        parent = dice.choice(parents)
        data = bytearray(parent.data)
        for _ in range(dice.choice([1, 1, 2])):
            data = _mutated(data, dice)
        yield odd(f"mutant {number} of {parent.name}", bytes(data))


def _mutated(data: bytearray, dice: random.Random) -> bytearray:
    at = dice.randrange(len(data) + 1)
    interesting = b"\r\n\0 \t:;,0123456789abcdefx/\x0b\x7f\xff"
    match dice.randrange(8):
        case 0:
            data[at:at] = bytes([dice.choice(interesting)])
        case 1:
            del data[at : at + 1]
        case 2:
            data[at : at + 1] = bytes([dice.choice(interesting)])
        case 3:
            data[at : at + 1] = bytes([dice.randrange(256)])
        case 4:
            lines = data.split(b"\r\n")
            lines.insert(dice.randrange(len(lines)), dice.choice(lines))
            data = bytearray(b"\r\n").join(lines)
        case 5:
            lines = data.split(b"\r\n")
            del lines[dice.randrange(len(lines))]
            data = bytearray(b"\r\n").join(lines)
        case 6:
            line = dice.choice(
                [
                    b"Content-Length: 3",
                    b"Transfer-Encoding: chunked",
                    b"Host: evil",
                    b"Connection: close",
                    b" x",
                ]
            )
            end = data.find(b"\r\n", at)
            data[end:end] = b"\r\n" + line if end >= 0 else b""
        case 7:
            size = dice.randint(1, 20)
            data[at:at] = data[at : at + size]
    return data
