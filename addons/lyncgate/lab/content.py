"""The lesser services of the external site: pages, and meeting content.

Only what crosses a proxy in its own way matters here: a page by Host, a body of hundreds of megabytes in
either direction (protocol reference §8, §9.12).
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

from lyncgate.lab.call import Call, json_answer, method_not_allowed, page
from lyncgate.lab.web import KIB, Response

MAX_DOWNLOAD = 1 << 40  # bytes
_BLOCK = bytes(range(256)) * (64 * KIB // 256)


async def meet(_call: Call) -> Response:
    """The join page of a meeting."""
    return page(200, "Join a meeting")


async def dialin(_call: Call) -> Response:
    """The dial-in conferencing page."""
    return page(200, "Dial-in conferencing")


async def xframe(_call: Call) -> Response:
    """The page by which scripts of other sites call UCWA. The real one's script is not ours to repeat."""
    return page(200, "XFrame")


async def upload(call: Call) -> Response:
    """Counts and hashes what it gets, keeps nothing: {"bytes": n, "sha256": hex}."""
    if call.request.method != "POST":
        return method_not_allowed("POST")
    size, digest = 0, hashlib.sha256()
    async for data in call.request.chunks():
        size += len(data)
        digest.update(data)
    return json_answer(200, {"bytes": size, "sha256": digest.hexdigest()})


async def download(call: Call) -> Response:
    """`/CollabContent/<n>`: n bytes, counting 0 to 255 over and over; `?chunked` leaves out the length."""
    wanted = call.path.rpartition("/")[2]
    if not wanted.isdecimal() or int(wanted) > MAX_DOWNLOAD:
        return page(404, "404 - File or directory not found.")
    size = int(wanted)
    length = None if call.request.query == "chunked" else size
    return Response(200, [("Content-Type", "application/octet-stream")], _counting(size), length)


async def _counting(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // len(_BLOCK)):
        yield _BLOCK
    if rest := size % len(_BLOCK):
        yield _BLOCK[:rest]
