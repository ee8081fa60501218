"""What strangers send makes no metric series: 10,000 requests of a scanner cost Prometheus nothing."""

import asyncio
import contextlib
import random
import ssl
import string

from lyncgate.lab.authority import client_context
from support.processes import Edge, Lab

REQUESTS, WARM_UP, CONNECTIONS = 10_000, 2_000, 20
OURS = ("meet.contoso.example", "lyncweb.contoso.example", "lyncdiscover.contoso.example")
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND", "LINK")
PREFIXES = ("", "/autodiscover", "/ucwa/v1/applications", "/webticket", "/mcx", "/cscp", "/abs")

Series = tuple[str, tuple[tuple[str, str], ...]]


def series(edge: Edge) -> set[Series]:
    return {(name, tuple(sorted(labels.items()))) for name, labels, _ in edge.samples()}


def word(dice: random.Random) -> str:
    return "".join(dice.choices(string.ascii_letters + string.digits, k=dice.randint(1, 20)))


def stranger(dice: random.Random) -> tuple[str, bytes]:
    """A request, its method first: a host of ours or of nobody, a path that is or begins like a good one or
    does not, a method of HTTP's or of nobody's."""
    method = dice.choice(METHODS) if dice.random() < 0.95 else word(dice)
    host = dice.choice([*OURS, f"{word(dice)}.contoso.example", f"{word(dice)}.example", "192.0.2.1"])
    path = dice.choice(PREFIXES) + "".join(f"/{word(dice)}" for _ in range(dice.randint(1, 4)))
    if dice.random() < 0.3:
        path = "/"
    if dice.random() < 0.3:
        path += f"?{word(dice)}={word(dice)}&sipuri={word(dice)}@{word(dice)}.example"
    fields = {"Host": host, "User-Agent": word(dice), f"X-{word(dice)}": word(dice), "Content-Length": "0"}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return method, f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode()


async def send(edge: Edge, tls: ssl.SSLContext, count: int, seed: int) -> int:
    """Send `count` requests of strangers, half by HTTP and half by HTTPS; how many were answered."""

    async def client(number: int) -> int:
        dice = random.Random(seed * CONNECTIONS + number)
        answered, left = 0, count // CONNECTIONS
        while left:  # each round is a connection: kept, until something on it was no HTTP
            address, secure = (edge.https, tls) if number % 2 else (edge.http, None)
            reader, writer = await asyncio.open_connection(
                *address, ssl=secure, server_hostname=OURS[0] if secure else None
            )
            with contextlib.closing(writer):
                open_ = True
                while open_ and left:
                    method, request = stranger(dice)
                    writer.write(request)
                    left -= 1
                    open_ = await answer(reader, method)
                    answered += 1
        return answered

    return sum(await asyncio.gather(*map(client, range(CONNECTIONS))))


async def answer(reader: asyncio.StreamReader, method: str) -> bool:
    """Read one; whether the connection goes on."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    assert head.startswith(b"http/1.1 "), head
    assert b"\r\ntransfer-encoding:" not in head, head
    if method != "HEAD" and not head.startswith(b"http/1.1 204"):
        await reader.readexactly(int(head.partition(b"\r\ncontent-length:")[2].split()[0]))
    return b"\r\nconnection: close" not in head


def test_ten_thousand_requests_of_strangers(lab: Lab, edge: Edge) -> None:
    tls = client_context(lab.directory)
    assert asyncio.run(send(edge, tls, WARM_UP, seed=1)) == WARM_UP
    before, counted = series(edge), edge.metric("lyncgate_requests_total")
    kinds = {dict(labels).get("decision") for name, labels in before if name == "lyncgate_requests_total"}
    assert kinds >= {"redirect", "answer", "forward", "deny"}

    assert asyncio.run(send(edge, tls, REQUESTS, seed=2)) == REQUESTS
    assert edge.metric("lyncgate_requests_total") - counted == REQUESTS
    assert series(edge) == before
