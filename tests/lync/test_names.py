from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.lync import names


@pytest.mark.parametrize(
    ("query", "user"),
    [
        (b"sipuri=alice@contoso.example", "alice@contoso.example"),
        (b"sipuri=sip:alice@contoso.example", "alice@contoso.example"),
        (b"sipuri=sip%3Aalice%40contoso.example", "alice@contoso.example"),
        (b"SipUri=SIP:Alice@CONTOSO.Example", "alice@contoso.example"),
        (b"sip%75ri=alice@contoso.example", "alice@contoso.example"),
        (b"originalDomain=x&sipuri=alice@contoso.example&y", "alice@contoso.example"),
        (
            b"sipuri=&sipuri=junk&sipuri=alice@contoso.example&sipuri=bob@contoso.example",
            "alice@contoso.example",
        ),
        (b"sipuri=alice+work@contoso.example", "alice+work@contoso.example"),
        (b"sipuri=o'hara@contoso.example", "o'hara@contoso.example"),
        (b"sipuri=z%C3%B6e@contoso.example", "zöe@contoso.example"),
        (b"sipuri=sips:alice@contoso.example", "alice@contoso.example"),
        (b"sipuri=%20alice@contoso.example%20", "alice@contoso.example"),
        (b"", None),
        (b"sipuri", None),
        (b"sipuri=", None),
        (b"sipuri=alice", None),
        (b"sipuri=@contoso.example", None),
        (b"sipuri=alice@", None),
        (b"sipuri=alice@bob@contoso.example", None),
        (b"sipuri=tel:+4930", None),
        (b"sipuri=alice@contoso..example", None),
        (b"sipuri=alice@-contoso.example", None),
        (b"sipuri=alice@contoso.example%0d%0aX:y", None),
        (b"sipuri=al%00ice@contoso.example", None),
        (b"sipuri=<sip:alice@contoso.example>", None),
        (b"sipuri=" + b"a" * 400 + b"@contoso.example", None),
        (b"xsipuri=alice@contoso.example", None),
        (b"sipuri%3Dalice@contoso.example", None),
    ],
)
def test_sip_user_from_query(query: bytes, user: str | None) -> None:
    assert names.sip_user_from_query(query) == user


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda value: b"sipuri=" + value))
def test_sip_user_from_query_is_total_and_its_result_an_address(query: bytes) -> None:
    user = names.sip_user_from_query(query)
    assert user is None or names.sip_address(user) == user


def test_discovery_hosts() -> None:
    assert names.lyncdiscover_host("contoso.example") == "lyncdiscover.contoso.example"
    assert names.lyncdiscoverinternal_host("contoso.example") == "lyncdiscoverinternal.contoso.example"
    assert names.lyncdiscover_domain("lyncdiscover.contoso.example") == "contoso.example"
    assert names.is_lyncdiscover("lyncdiscover.contoso.example")
    for other in ("lyncdiscoverinternal.contoso.example", "lyncdiscover", "contoso.example", "lyncdiscover."):
        assert names.lyncdiscover_domain(other) is None


def test_sip_names() -> None:
    for prefix in ("sip", "sipinternal", "sipexternal"):
        assert names.sip_domain(f"{prefix}.contoso.example") == "contoso.example"
    for other in ("sips.contoso.example", "sip", "sip.", "contoso.example", ""):
        assert names.sip_domain(other) is None
