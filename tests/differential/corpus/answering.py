"""What corpora of answers are made with."""

from __future__ import annotations

from differential.origin import Script
from differential.streams import Answered, Kind, Need

OK = b"HTTP/1.1 200 OK\r\n"
FIVE = b"Content-Length: 5\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
HELLO = b"5\r\nhello\r\n0\r\n\r\n"
PLAIN = OK + FIVE + b"\r\nhello"
EVIL = b"HTTP/1.1 200 OK\r\nX-Evil: yes\r\nContent-Length: 4\r\n\r\nevil"


def good(name: str, data: bytes, *needs: Need, ending: str = "keep", method: bytes = b"GET") -> Answered:
    return Answered(name, Script((data,), ending), Kind.VALID, frozenset(needs), method)


def odd(name: str, data: bytes, *tolerated: bytes, ending: str = "fin", method: bytes = b"GET") -> Answered:
    return Answered(name, Script((data,), ending), Kind.ODD, method=method, tolerated=tolerated)


def bad(name: str, data: bytes, ending: str = "fin", method: bytes = b"GET") -> Answered:
    """Never to be taken for whole."""
    return Answered(name, Script((data,), ending), Kind.MALICIOUS, method=method)
