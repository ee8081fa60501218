"""Pieces do arrive one by one: else cutting streams would prove nothing."""

from __future__ import annotations

import asyncio

from differential.answers import ResponseReader
from differential.drive import byte_by_byte, cut_at, talk

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def test_pieces_arrive_one_by_one() -> None:
    data = bytes(range(65, 90))
    for pieces in (byte_by_byte(data), cut_at(data, 1), cut_at(data, 24), cut_at(data, 5, 6, 20), [data]):
        read: list[bytes] = []

        async def serve(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, read: list[bytes] = read
        ) -> None:
            while sum(map(len, read)) < len(data):
                read.append(await reader.read(1000))
            writer.write(ANSWER)
            writer.close()

        async def check(pieces: list[bytes] = pieces, serve: object = serve) -> None:
            server = await asyncio.start_server(serve, "127.0.0.1", 0)  # type: ignore[arg-type]  # it is one
            async with server:
                told = await talk(server.sockets[0].getsockname(), pieces, methods=[b"GET"], answers=1)
            assert [response.status for response in told.reader.responses] == [200]

        asyncio.run(check())
        assert read == pieces


def test_a_client_reads_strictly() -> None:
    """What it is given it judges as a parser of its own."""
    for data, fault in {
        b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n": "bare LF",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n": "two lengths",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n": "length and coding",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n": "101 that nobody asked for",
    }.items():
        reader = ResponseReader([b"GET"])
        reader.feed(data)
        assert reader.fault == fault
