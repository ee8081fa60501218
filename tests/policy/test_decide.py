"""What holds for decide() whatever comes in."""

from __future__ import annotations

import dataclasses
import ntpath
import posixpath
import re
from urllib.parse import unquote

from hypothesis import example, given, settings
from hypothesis import strategies as st

from lyncgate.policy.decide import decide
from lyncgate.policy.decision import Answer, Decision, Deny, Forward, Redirect
from lyncgate.policy.policy import Policy, Publication, Scheme
from lyncgate.policy.request import Request
from policy.estate import POLICY

HOSTS = [
    *(host.replace("*", "any") for publication in POLICY.publications for host in publication.hosts),
    *(f"lyncdiscover.{domain}" for domain in POLICY.domains),
    "evil.example",
]
PATHS = [
    "/",
    "/scheduler",
    "/cscp/x",
    "/ucwa/v1",
    "/autodiscover/autodiscoverservice.svc/root",
    "/abs;x/../y",
]
QUERIES = [
    "",
    "?",
    "?sipuri=alice@contoso.example",
    "?sipuri=bob%40emea.contoso.example",
    "?sipuri=ceo@contoso.example",
]


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """Any bytes at all, and requests that get somewhere, in about equal parts."""
    some_target = st.builds(
        lambda path, query: (path + query).encode(), st.sampled_from(PATHS), st.sampled_from(QUERIES)
    )
    slashed = st.binary(max_size=40).map(lambda tail: b"/" + tail)
    return Request(
        listener=draw(st.sampled_from([*POLICY.listeners, "none"])),
        scheme=draw(st.sampled_from(Scheme)),
        method=draw(st.sampled_from([b"GET", b"HEAD", b"POST", b"DELETE"]) | st.binary(max_size=8)),
        host=draw(st.sampled_from(HOSTS).map(str.encode) | st.binary(max_size=40)),
        target=draw(some_target | slashed | st.binary(max_size=40)),
        source=draw(st.sampled_from(["10.0.0.9", "192.0.2.1", "::ffff:10.0.0.9"]) | st.text(max_size=12)),
        user=draw(
            st.none()
            | st.sampled_from(["bob@emea.contoso.example", "sip:CEO@contoso.example"])
            | st.text(max_size=12)
        ),
    )


def bridges(policy: Policy) -> set[tuple[str, str, int | None]]:
    """Every (pool, scheme, port) that the policy allows."""
    return {
        (pool.name, scheme, bridge.port(scheme))
        for pool in policy.pools.values()
        for bridge in [
            pool.bridge,
            *(p.bridge for p in policy.publications if p.bridge and p.pool == pool.name),
        ]
        for scheme in Scheme
    }


@given(requests())
def test_total_and_never_outside_the_policy(request: Request) -> None:
    decision = decide(POLICY, request)
    assert decide(POLICY, request) == decision
    match decision:
        case Forward():
            assert (decision.pool, decision.scheme, decision.port) in bridges(POLICY)
            assert decision.scheme == request.scheme
            if decision.target != request.target:
                assert decision.publication == "lyncdiscover"
                assert request.target[:2] in (b"/", b"/?")
                assert decision.target == b"/Autodiscover/AutodiscoverService.svc/root" + request.target[1:]
        case Redirect():
            published = {host.replace("*", "any") for p in POLICY.publications for host in p.hosts}
            published |= {f"lyncdiscover.{domain}" for domain in POLICY.domains}
            published |= {route.web_services for route in (*POLICY.domains.values(), *POLICY.users)}
            location = re.fullmatch(r"https://([a-z0-9.-]+)/[\x21-\x7e]*", decision.location)
            assert location is not None
            assert location[1] in published
            assert decision.status in (301, 302, 307, 308)
        case Answer():
            assert all(
                re.fullmatch(r"https://lyncweb[a-z.-]*/[\x21-\x7e]*", href) for _, href in decision.links
            )
        case Deny():
            assert decision.status in (400, 403, 404, 405, 414)


@given(requests())
def test_case_of_host_and_path_decides_nothing(request: Request) -> None:
    path, mark, query = request.target.partition(b"?")
    flipped = Request(
        request.listener,
        request.scheme,
        request.method,
        request.host.swapcase(),
        path.swapcase() + mark + query,
        request.source,
        request.user,
    )
    assert without_target(decide(POLICY, flipped)) == without_target(decide(POLICY, request))


def without_target(decision: Decision) -> Decision:
    match decision:
        case Forward():
            return dataclasses.replace(decision, target=b"")
        case Redirect():
            return dataclasses.replace(decision, location="")
        case Answer():
            return dataclasses.replace(
                decision, links=tuple((token, href.lower()) for token, href in decision.links)
            )
    return decision


@given(requests(), st.permutations(POLICY.publications))
def test_the_first_publication_that_fits_decides(request: Request, order: list[Publication]) -> None:
    whole = decide(dataclasses.replace(POLICY, publications=tuple(order)), request)
    alone = (
        decide(dataclasses.replace(POLICY, publications=(publication,)), request) for publication in order
    )
    unpublished = decide(dataclasses.replace(POLICY, publications=()), request)
    assert whole == next((decision for decision in alone if decision.rule != "default"), unpublished)


# -- disguises --------------------------------------------------------------------------------------


def escaped(char: str) -> st.SearchStrategy[str]:
    """Ways to write one ASCII character so that some server reads it."""
    once = f"%{ord(char):02x}"
    ways = [char, char.swapcase(), once, once.upper(), once.replace("%", "%25"), once.replace("%", "%2525")]
    ways += [
        f"%u{ord(char):04x}",
        f"%U{ord(char):04X}",
        f"%u{ord(char) + 0xFEE0:04x}",
        chr(ord(char) + 0xFEE0),
    ]
    ways += [f"%{0xC0 | ord(char) >> 6:02x}%{0x80 | ord(char) & 0x3F:02x}"]  # overlong UTF-8
    return st.sampled_from(ways)


SLASH = escaped("/") | escaped("\\") | st.sampled_from(["//", "/./", "/x/../", "/x/y/../..//", "/(S(0a))/"])
START = SLASH | st.just("/..;p/")
ENDING = st.sampled_from(
    ["", ".", "..", " ".replace(" ", "%20"), ".%20.", ";v=1", "::$DATA", ":$i30", "%3fx", "#x"]
)


@st.composite
def disguises(draw: st.DrawFn) -> bytes:
    """An excluded path, every character, border and ending of it maybe written in another way."""
    excluded = draw(st.sampled_from(["cscp", "ocspowershell"]))
    name = "".join(draw(escaped(char)) for char in excluded)
    before, after = draw(START), draw(SLASH)
    start = before if before.startswith("/") else "/x/.." + before
    return (start + name + draw(ENDING) + draw(st.sampled_from(["", after + "x"]))).encode()


@given(disguises())
@example(b"/x/..\\cscp")
@example(b"/x/..%2fcscp;v=1/..;p/x")
def test_no_disguise_of_an_excluded_path_gets_through(path: bytes) -> None:
    assert_denied(path)


def assert_denied(path: bytes) -> None:
    for scheme in Scheme:
        decision = decide(POLICY, Request(scheme, scheme, b"GET", b"lyncweb.contoso.example", path))
        assert isinstance(decision, Deny)
        assert decision.status in (400, 404)


# Servers as their manuals describe them, written without a look at our own canonical forms.


def iis(path: str) -> str:
    return posixpath.normpath(unquote(path).replace("\\", "/"))


def decodes_twice(path: str) -> str:
    return posixpath.normpath(unquote(unquote(path)))


def keeps_encoded_slashes(path: str) -> str:
    return unquote(posixpath.normpath(path).split("/")[1])


def strips_parameters(path: str) -> str:
    return posixpath.normpath(unquote(re.sub(";[^/]*", "", path)))


def windows(path: str) -> str:
    return ntpath.normpath(unquote(path)).replace("\\", "/").split(":")[0].rstrip(". ")


PIECES = [
    "/",
    "//",
    "\\",
    ".",
    "..",
    "%20",
    ";",
    ":",
    "%2f",
    "%5C",
    "%2e",
    "%25",
    "%252f",
    "%63",
    "cscp",
    "CSCP",
    "x",
]


@settings(max_examples=500)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=10).map(lambda pieces: "/" + "".join(pieces)))
@example("/x%2fy/../cscp")
@example("/x//../cscp")
@example("/cscp/../x")
def test_what_any_server_would_read_as_excluded_is_not_forwarded(path: str) -> None:
    for server in (iis, decodes_twice, keeps_encoded_slashes, strips_parameters, windows):
        first = server(path).lower().strip("/").split("/")[0]
        if first == "cscp":
            assert_denied(path.encode())
