"""A pool member that does as it is told, as a process: what a front end won't do when asked nicely.

    python -m support.member --directory D --address 127.0.0.11 --port 4443

Any path is answered 200 with an empty body and `X-Member: <address>`. In the query: `wait=2.5` holds the
answer for so many seconds of the process's own clock, `wait=forever` for ever.  Each request is written to
`<directory>/<address>.requests` when its head and body have come, before anything else is done with it, so
that the file outlives a kill -9: method, target, X-Request-Id.
"""

import argparse
import asyncio
import json
import os
import urllib.parse
from pathlib import Path

from lyncgate.lab.authority import server_context
from lyncgate.lab.ports import bound
from lyncgate.lab.web import Request, Response, Site


async def main(directory: Path, address: str, port: int) -> None:
    log = os.open(requests_file(directory, address), os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def answer(request: Request, _: None) -> Response:
        size = sum([len(data) async for data in request.chunks()])
        line = f"{request.method} {request.target} {request.header('x-request-id')}\n"
        os.write(log, line.encode())
        match urllib.parse.parse_qs(request.query):
            case {"wait": ["forever"]}:
                await asyncio.get_running_loop().create_future()
            case {"wait": [seconds]}:
                await asyncio.sleep(float(seconds))
        return Response(200, [("X-Member", address), ("X-Bytes", str(size))])

    site = Site(answer, lambda: None)
    sock = bound(address, port)
    port = sock.getsockname()[1]
    await site.listen(sock, server_context(directory, "pool01"))
    print(json.dumps({"port": port}), flush=True)
    await asyncio.get_running_loop().create_future()


def requests_file(directory: Path, address: str) -> Path:
    return directory / f"{address}.requests"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--directory", type=Path, required=True, help="of the lab, for its certificates")
    parser.add_argument("--address", required=True)
    parser.add_argument("--port", type=int, default=0)
    asyncio.run(main(**vars(parser.parse_args())))
