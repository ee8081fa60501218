"""load(): text in, Policy or problems out, whatever the text is."""

from __future__ import annotations

import copy
import ipaddress
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lyncgate.policy.decide import decide
from lyncgate.policy.decision import Forward
from lyncgate.policy.load import Loaded, load
from lyncgate.policy.policy import Affinity, Balance, Bridge, Discover, Health, Policy, Scheme
from lyncgate.policy.request import Request
from lyncgate.policy.source import parse
from policy import pki

TEXT = """
version: 1
lync:
  domains:
    contoso.example: {web_services: lyncweb.contoso.example, pool: pool01}
  users:
    - {match: "*@EMEA.contoso.example", web_services: meet.contoso.example, pool: pool02}
listeners:
  http: {bind: ["0.0.0.0:80", "[::]:80"], protocol: http, redirect: {status: 301}}
  https:
    bind: ["0.0.0.0:443"]
    protocol: https
    certificates: [{cert: good.pem, key: good.key, root: root.pem}]
    hsts: 365d
    trusted_proxies: [192.0.2.1, 10.0.0.0/8]
pools:
  pool01:
    members: [fe01.contoso.local, {host: 192.0.2.9, name: fe02, drain: true}]
    tls: {ca: root.pem, name: pool01.contoso.local}
    health: {tcp: off, every: 10s, slow_start: 500ms}
  pool02:
    members: ["2001:db8::1"]
    affinity: cookie
    balance: round-robin
publications:
  - name: web services
    hosts: [LyncWeb.contoso.example]
    except: [/CSCP/, /ocspowershell/*]
    pool: pool01
  - name: office
    hosts: [meet.contoso.example]
    paths: [/abs/*, /Files]
    pool: pool02
    methods: [GET]
    sources: [203.0.113.0/24]
    bridge: {http: off, https: 443}
    body_limit: 100MiB
timeouts: {connect: 2s}
limits: {url: 4KiB}
access_log: {path: access.log, format: line}
admin: {bind: off}
tests:
  - {url: "https://lyncweb.contoso.example/abs", expect: {forward: pool01}}
"""
DATA: Any = parse(TEXT).data


def check(text: str, read: Callable[[str], bytes] = pki.read, directory: str | None = None) -> Loaded:
    return load(text, filename="rules.yaml", read=read, now=pki.NOW, anchors=None, directory=directory)


def policy(text: str = TEXT) -> Policy:
    loaded = check(text)
    assert [str(p) for p in loaded.problems if p.severity == "error"] == []
    assert loaded.policy
    return loaded.policy


def also(files: dict[str, bytes]) -> Callable[[str], bytes]:
    return lambda name: files[name] if name in files else pki.read(name)


def test_everything_written_reaches_the_policy() -> None:
    made = policy()
    assert made.domains["contoso.example"].http is Discover.ANSWER
    assert made.users[0].match == "*@emea.contoso.example"
    assert made.listeners["http"].bind == (("0.0.0.0", 80), ("::", 80))
    assert (made.listeners["http"].redirect, made.listeners["http"].redirect_status) == (True, 301)
    https = made.listeners["https"]
    assert https.scheme is Scheme.HTTPS
    assert https.hsts == 365 * 86400
    assert https.trusted_proxies == tuple(map(ipaddress.ip_network, ("192.0.2.1/32", "10.0.0.0/8")))
    assert https.certificates[0].names == pki.NAMES
    assert https.certificates[0].not_after == pki.NOW + 365 * pki.DAY
    pool = made.pools["pool01"]
    assert [(m.name, m.host, m.drain) for m in pool.members] == [
        ("fe01.contoso.local", "fe01.contoso.local", False),
        ("fe02", "192.0.2.9", True),
    ]
    assert pool.bridge == Bridge(8080, 4443)
    assert pool.health == Health(tcp=None, every=10.0, slow_start=0.5)
    assert pool.health_host == "lyncweb.contoso.example"
    assert (made.pools["pool02"].affinity, made.pools["pool02"].balance) == (
        Affinity.COOKIE,
        Balance.ROUND_ROBIN,
    )
    web, office = made.publications
    assert web.hosts == ("lyncweb.contoso.example",)
    assert (web.paths, web.excluded) == (("",), ("/cscp", "/ocspowershell"))
    assert "TRACE" not in web.methods
    assert (office.paths, office.bridge, office.body_limit) == (
        ("/abs", "/files"),
        Bridge(None, 443),
        100 * 2**20,
    )
    assert (office.methods, office.sources) == ({"GET"}, (ipaddress.ip_network("203.0.113.0/24"),))
    assert (made.timeouts.connect, made.timeouts.poll, made.limits.url) == (2.0, 1860.0, 4096)
    assert (made.access_log.path, made.access_log.format, made.admin.bind) == ("access.log", "line", None)


def test_the_health_host_of_an_unpublished_pool_is_its_web_services_name() -> None:
    text = TEXT.replace("pool: pool02\n    methods", "pool: pool01\n    methods")
    assert policy(text).pools["pool02"].health_host == "meet.contoso.example"


def test_a_wildcard_is_no_health_host() -> None:
    text = TEXT.replace("[LyncWeb.contoso.example]", "['*.fabrikam.example', LyncWeb.contoso.example]")
    loaded = check(text)
    # The wildcard is in no certificate; what is asked here is which name was passed over for the check.
    assert [p.key for p in loaded.problems] == ["publications[0].hosts[0]"]
    plain = TEXT[: TEXT.index("  https:\n")] + TEXT[TEXT.index("pools:\n") :]
    plain = plain.replace("redirect: {status: 301}", "hsts: off").replace("https://lync", "http://lync")
    plain = plain.replace("[LyncWeb.contoso.example]", "['*.fabrikam.example', LyncWeb.contoso.example]")
    assert policy(plain).pools["pool01"].health_host == "lyncweb.contoso.example"


def test_files_are_found_beside_the_rules() -> None:
    asked: list[str] = []

    def read(name: str) -> bytes:
        asked.append(name)
        return pki.read(name.removeprefix("/etc/lyncgate/"))

    loaded = check(TEXT, read, directory="/etc/lyncgate")
    assert loaded.policy
    assert set(loaded.files) == {
        "/etc/lyncgate/rules.tests.yaml",
        "/etc/lyncgate/good.pem",
        "/etc/lyncgate/good.key",
        "/etc/lyncgate/root.pem",
    }
    assert set(asked) == set(loaded.files)
    assert loaded.policy.listeners["https"].certificates[0].key == "/etc/lyncgate/good.key"
    assert loaded.policy.pools["pool01"].tls.ca == "/etc/lyncgate/root.pem"
    assert loaded.policy.access_log.path == "/etc/lyncgate/access.log"


def test_the_version_follows_the_text_and_the_files() -> None:
    first = policy().version
    assert len(first) == 12
    assert first == policy().version
    assert first != policy(TEXT + "# more\n").version
    renewed = check(TEXT, also({"root.pem": pki.read("root.pem") + b"\n"}))
    assert renewed.policy
    assert renewed.policy.version != first


def test_tests_beside_the_rules_are_run_and_reported_in_their_own_file() -> None:
    good = b"tests:\n  - {url: 'https://lyncweb.contoso.example/cscp', expect: {deny: 404}}\n"
    loaded = check(TEXT, also({"rules.tests.yaml": good}))
    assert loaded.policy
    assert loaded.tests == 2
    failing = check(TEXT, also({"rules.tests.yaml": good.replace(b"404", b"403")}))
    assert failing.policy is None
    assert [str(p) for p in failing.problems] == [
        "rules.tests.yaml:2:5: tests[0]: GET https://lyncweb.contoso.example/cscp: expected deny 403; got "
        'deny 404, reason excluded_path, rule publication "web services", publication web services'
    ]


@pytest.mark.parametrize("content", [b"tests: [", b"\xff", b"tests: {}", b"testz: []", b""])
def test_a_tests_file_that_can_not_be_read_is_an_error(content: bytes) -> None:
    loaded = check(TEXT, also({"rules.tests.yaml": content}))
    assert loaded.policy is None
    assert {problem.file for problem in loaded.problems} == {"rules.tests.yaml"}


def test_mistakes_in_one_section_do_not_hide_those_in_another() -> None:
    text = TEXT.replace("connect: 2s", "connect: 2").replace(
        "pool: pool02\n    methods", "pool: pool03\n    methods"
    )
    keys = [problem.key for problem in check(text).problems]
    assert keys == ["publications[1].pool", "timeouts.connect"]


def test_an_office_web_apps_publication_may_lead_to_443() -> None:
    request = Request("https", Scheme.HTTPS, b"GET", b"meet.contoso.example", b"/abs/x", "203.0.113.7")
    decision = decide(policy(), request)
    assert isinstance(decision, Forward)
    assert decision.port == 443


@given(st.text() | st.text(alphabet="version:1 lync[]{}\n -'\"*&!|>%#\t"))
def test_any_text_has_an_outcome(text: str) -> None:
    loaded = check(text)
    assert loaded.policy is None
    assert loaded.problems


@given(st.binary())
def test_any_file_has_an_outcome(content: bytes) -> None:
    names = ("good.pem", "good.key", "root.pem", "rules.tests.yaml")
    loaded = check(TEXT, also(dict.fromkeys(names, content)))
    assert loaded.policy is None
    assert loaded.problems


def _places(data: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in the data."""
    keys: list[Any] = list(data) if isinstance(data, dict) else list(range(len(data)))
    below = [place for key in keys if isinstance(data[key], dict | list) for place in _places(data[key])]
    return [(data, key) for key in keys] + below


JUNK = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["off", "none", "*", "@", "", "0s", "pool01", "http://", "[::]:0", "0.0.0.0/0", "/*", "*.a"]
    )
    | st.just([])
    | st.just({})
    | st.lists(st.text(max_size=3), max_size=2)
    | st.dictionaries(st.sampled_from(["port", "type", "host", "http", "x"]), st.text(max_size=3), max_size=2)
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_mutation_of_good_rules_has_an_outcome(data: st.DataObject) -> None:
    rules = copy.deepcopy(DATA)
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(_places(rules)))
        if data.draw(st.booleans()):
            del container[key]
        else:
            container[key] = data.draw(JUNK)
        if not rules:
            break
    loaded = check(yaml.safe_dump(rules, allow_unicode=True))
    errors = [problem for problem in loaded.problems if problem.severity == "error"]
    assert (loaded.policy is None) == bool(errors)
    for problem in loaded.problems:
        assert "\n" not in str(problem)
