"""curl and requests-ntlm as Lync clients: two more NTLM implementations that we did not write.

Both call an edge on this machine by its public names: the URL, the Host header, the SNI and the certificate
check are the real ones, only the TCP connection goes elsewhere.

    edge = Edge(http=8080, https=8443, ca=directory / "ca.pem")
    ticket = "https://lyncweb.contoso.example/WebTicket/WebTicketService.svc"

    answer = curl(ticket, edge, user=r"CONTOSO\\alice:P4ss", data=rst, headers=["Content-Type: text/xml"])
    with ntlm_session(edge, r"CONTOSO\\alice", "P4ss") as session:
        answer = Answer.of(session.post(ticket, data=rst, headers={"Content-Type": "text/xml"}))
    assert answer.legs == (401, 401, 200)
"""

import re
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests_ntlm import HttpNtlmAuth

from support.requirements import require

_STATUS_LINE = re.compile(r"HTTP/1\.1 (\d{3})( .*)?")


@dataclass(frozen=True)
class Edge:
    """Where an edge listens for HTTP and HTTPS, and the authority (PEM) that its certificates come from."""

    http: int
    https: int
    ca: Path
    host: str = "127.0.0.1"


@dataclass(frozen=True)
class Answer:
    """The response that a call ended with: headers in order, as they came, repeated ones kept.

    `legs` is the status of every response on the way there, this one the last: NTLM takes several.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    legs: tuple[int, ...]

    def header(self, name: str) -> list[str]:
        """Every value of the header `name`, in any case."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @classmethod
    def of(cls, response: requests.Response) -> "Answer":
        """What requests got; its own headers would join the repeated ones."""
        legs = (*(earlier.status_code for earlier in response.history), response.status_code)
        return cls(response.status_code, tuple(response.raw.headers.items()), response.content, legs)


def curl(
    url: str,
    edge: Edge,
    *,
    user: str = "",
    data: bytes | None = None,
    headers: Iterable[str] = (),
    options: Iterable[str] = (),
    timeout: float = 30,
) -> Answer:
    """Call `url` through `edge` with curl, and with `--ntlm` where there is a `user` ("name:password").

    Raises CalledProcessError where curl gets no answer: `returncode` is curl's own (60: the certificate does
    not verify) and `stderr` has its words.
    """
    with tempfile.TemporaryDirectory() as directory:
        heads, body, upload = (Path(directory) / name for name in ("heads", "body", "upload"))
        command = [require("curl", "curl"), "--disable", "--silent", "--show-error", *options]
        command += ["--noproxy", "*", "--max-time", str(timeout), "--cacert", str(edge.ca)]
        command += ["--connect-to", f":80:{edge.host}:{edge.http}"]
        command += ["--connect-to", f":443:{edge.host}:{edge.https}"]
        command += ["--dump-header", str(heads), "--output", str(body)]
        for header in headers:
            command += ["--header", header]
        if user:
            command += ["--ntlm", "--user", user]
        if data is not None:
            upload.write_bytes(data)
            command += ["--data-binary", f"@{upload}"]
        subprocess.run([*command, url], check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        answers = _answers(heads.read_bytes().decode("latin-1"))
        content = body.read_bytes() if body.exists() else b""
    status, fields = answers[-1]
    return Answer(status, fields, content, tuple(leg for leg, _ in answers))


def ntlm_session(edge: Edge, user: str, password: str) -> requests.Session:
    """A session of requests whose calls all go to `edge`, authenticated by NTLM where it is asked for."""
    session = requests.Session()
    # An environment may name proxies, and a CA bundle that requests would put above ours.
    session.trust_env = False
    session.verify = str(edge.ca)
    session.auth = HttpNtlmAuth(user, password)
    session.mount("http://", _ToEdge(edge))
    session.mount("https://", _ToEdge(edge))
    return session


class _ToEdge(HTTPAdapter):
    """Connects to the edge, whatever the URL says, and is the URL's host in all other respects."""

    def __init__(self, edge: Edge) -> None:
        super().__init__()
        self._edge = edge

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        if host["scheme"] == "https":
            pool |= {"server_hostname": host["host"], "assert_hostname": host["host"]}
            port = self._edge.https
        else:
            port = self._edge.http
        return host | {"host": self._edge.host, "port": port}, pool

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        request.headers["Host"] = urlsplit(request.url).netloc
        return super().send(request, *args, **options)


def _answers(heads: str) -> list[tuple[int, tuple[tuple[str, str], ...]]]:
    """The status and headers of each response in curl's header dump, interim ones (100) left out."""
    answers = []
    for head in heads.split("\r\n\r\n")[:-1]:
        status_line, *lines = head.split("\r\n")
        found = _STATUS_LINE.fullmatch(status_line)
        if not found:
            raise ValueError(f"not an HTTP/1.1 status line: {status_line!r}")
        fields = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
        if not found[1].startswith("1"):
            answers.append((int(found[1]), fields))
    return answers
