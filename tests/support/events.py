"""Events of every kind with any content, for hypothesis; and an exchange as it may be."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from lyncgate.signin.events import Certificate, DnsQuery, Event, Handshake, SipMessage, TraceLine
from lyncgate.signin.exchange import Exchange, Phase
from lyncgate.signin.facts import Facts
from lyncgate.signin.keys import Keys

TEXTS = st.text(max_size=12)
TIMES = st.floats(0, 4e9)
SECONDS = st.none() | st.floats(0, 4000)


def exchange(**fields: Any) -> Exchange:
    """An exchange with a phone, in which `fields` are as wanted."""
    known: dict[str, Any] = {
        "id": "0123456789abcdef",
        "listener": "https",
        "scheme": "https",
        "source_ip": "192.0.2.7",
        "connection": "c1",
        "started": 1789000000.25,
        "method": "GET",
        "host": "lyncweb.contoso.example",
        "path": "/",
        "decision": "forward",
    }
    return Exchange(**(known | fields))


def _keys(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Keys]:
    optional = st.none() | texts
    named = ("connection", "application", "endpoint", "dialog", "user", "account", "client", "agent")
    return st.builds(Keys, tickets=st.lists(texts, max_size=2).map(tuple), **dict.fromkeys(named, optional))


def events(texts: st.SearchStrategy[str] = TEXTS) -> st.SearchStrategy[Event]:
    """Events of all kinds; `texts` is what stands in the fields that hold text from outside."""
    keys = _keys(texts)
    pairs = st.lists(st.tuples(texts, texts), max_size=3).map(tuple)
    optional = st.none() | texts
    facts = st.builds(
        Facts, links=pairs, settings=pairs, redirect=optional, diagnostics_text=optional, warning=optional
    )
    phases = st.dictionaries(st.sampled_from(Phase), SECONDS)
    common = {"keys": keys, "started": TIMES}
    exchanges = st.builds(
        Exchange,
        **common,
        facts=facts,
        phases=phases,
        path=texts,
        reason=optional,
        sip_user=optional,
        ntlm_user=optional,
    )
    certificates = st.none() | st.builds(Certificate, not_before=TIMES, not_after=TIMES)
    return st.one_of(
        exchanges,
        st.builds(DnsQuery, **common, answers=st.lists(texts, max_size=3).map(tuple), seconds=SECONDS),
        st.builds(Handshake, **common, detail=texts, seconds=SECONDS, certificate=certificates),
        st.builds(
            SipMessage, **common, settings=pairs, diagnostics=optional, reason=optional, seconds=SECONDS
        ),
        st.builds(TraceLine, **common, text=texts, seconds=SECONDS),
    )
