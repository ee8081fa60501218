"""libpurple's DNS, answered from `names`: no look-up of the client's reaches a resolver.

libpurple asks its user interface first for addresses (A) and for SRV and TXT records, and only where that
declines would it look names up itself.  We never decline.  The port in the answer is ours too, which is how
`https://lyncdiscover.contoso.example/` comes to be served from a free loopback port.
"""

import ctypes
import socket
import struct
from collections.abc import Callable

from .journal import Journal
from .loop import MainLoop
from .names import Endpoint, Names
from .purple import DNS_TYPE_SRV, QueryDestroy, QueryOps, Resolve, Resolved, ResolveFailed, SrvRecord, text

_TAKEN = 1  # "the user interface answers this one"


class Resolver:
    """Fills in `host_ops` (A) and `service_ops` (SRV, TXT) for libpurple."""

    def __init__(
        self, names: Names, journal: Journal, loop: MainLoop, purple: ctypes.CDLL, glib: ctypes.CDLL
    ) -> None:
        self._names, self._journal, self._loop = names, journal, loop
        self._purple, self._glib = purple, glib
        self._answers: dict[int, int] = {}  # query: the call that will answer it
        forget = QueryDestroy(self._forget)
        self.host_ops = QueryOps(resolve=Resolve(self._resolve_host), destroy=forget)
        self.service_ops = QueryOps(resolve=Resolve(self._resolve_service), destroy=forget)

    def _resolve_host(self, query: int, resolved: int, failed: int) -> int:
        name = text(self._purple.purple_dnsquery_get_host(query))
        port = self._purple.purple_dnsquery_get_port(query)
        endpoint = self._names.host(name, port)
        self._tell("A", name, port, endpoint)
        return self._answer(query, resolved, failed, endpoint, self._address_list)

    def _resolve_service(self, query: int, resolved: int, failed: int) -> int:
        name = text(self._purple.purple_srv_txt_query_get_query(query))
        is_srv = self._purple.purple_srv_txt_query_get_type(query) == DNS_TYPE_SRV
        endpoint = self._names.service(name) if is_srv else None
        self._tell("SRV" if is_srv else "TXT", name, None, endpoint)
        return self._answer(query, resolved, failed, endpoint, self._record_list)

    def _answer(
        self,
        query: int,
        resolved: int,
        failed: int,
        endpoint: Endpoint | None,
        as_list: Callable[[Endpoint], int],
    ) -> int:
        """Answer from the loop, as dnssrv.h demands (and dnsquery.h allows)."""

        def deliver() -> None:
            del self._answers[query]
            if endpoint:
                Resolved(resolved)(query, as_list(endpoint))
            else:
                ResolveFailed(failed)(query, b"no such name")

        self._answers[query] = self._loop.call_later(0, deliver)
        return _TAKEN

    def _forget(self, query: int) -> None:
        """libpurple is about to free `query`: it must not be answered any more."""
        self._loop.cancel(self._answers.pop(query, 0))

    def _address_list(self, endpoint: Endpoint) -> int:
        """A GSList of two items, the length of a sockaddr and the sockaddr, for libpurple to free."""
        address = sockaddr(endpoint)
        items = self._glib.g_slist_append(None, len(address))
        return self._glib.g_slist_append(items, self._allocate(address))

    def _record_list(self, endpoint: Endpoint) -> int:
        """A GList of one SRV record, for libpurple to free."""
        record = SrvRecord(hostname=endpoint.host.encode(), port=endpoint.port)
        return self._glib.g_list_append(None, self._allocate(bytes(record)))

    def _allocate(self, content: bytes) -> int:
        memory = self._glib.g_malloc0(len(content))
        ctypes.memmove(memory, content, len(content))
        return memory

    def _tell(self, record_type: str, name: str, port: int | None, answer: Endpoint | None) -> None:
        self._journal.log("driver", f"{record_type} {name} port {port} -> {answer or 'does not exist'}")
        self._journal.event(
            "dns", type=record_type, name=name, port=port, answer=str(answer) if answer else None
        )


def sockaddr(endpoint: Endpoint) -> bytes:
    """`endpoint` as Linux's sockaddr_in or sockaddr_in6: family in host order, the rest in network order."""
    if ":" in endpoint.host:
        family, rest = socket.AF_INET6, struct.pack("!HI16sI", endpoint.port, 0, _packed(endpoint), 0)
    else:
        family, rest = socket.AF_INET, struct.pack("!H4s8x", endpoint.port, _packed(endpoint))
    return struct.pack("=H", family) + rest


def _packed(endpoint: Endpoint) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET, endpoint.host)
