"""Canonical XML to the letter, and signatures that cover what they say."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.lync import xmlsignature
from lyncgate.lync.xmlsignature import HMAC_SHA1, RSA_SHA1, WSU, SignatureError, canonical, children, parse

KEY = b"k" * 32
STAMP = (
    f'<u:Timestamp xmlns:u="{WSU}" u:Id="timestamp"><u:Created>2026-11-22T20:00:00Z</u:Created></u:Timestamp>'
)

# What libxml2 (lxml's tostring(method="c14n", exclusive=True)) makes of them.
GOLDEN = {
    "attributes are sorted by namespace, then name": (
        "<e xmlns:b='urn:1' b:z='1' y='2' x=\"3\"/>",
        '<e xmlns:b="urn:1" x="3" y="2" b:z="1"></e>',
    ),
    "namespaces come where they are used, sorted": (
        '<a xmlns:n1="urn:1" xmlns:n2="urn:2"><n2:b n1:c=""><n1:d/></n2:b></a>',
        '<a><n2:b xmlns:n1="urn:1" xmlns:n2="urn:2" n1:c=""><n1:d></n1:d></n2:b></a>',
    ),
    "a default namespace is taken back": (
        '<a xmlns="urn:1"><b xmlns=""><c xmlns="urn:1"/></b></a>',
        '<a xmlns="urn:1"><b xmlns=""><c xmlns="urn:1"></c></b></a>',
    ),
    "two prefixes of one namespace stay two": (
        '<p:a xmlns:p="urn:1" xmlns:q="urn:1"><q:b/></p:a>',
        '<p:a xmlns:p="urn:1"><q:b xmlns:q="urn:1"></q:b></p:a>',
    ),
    "text and attributes are escaped": (
        "<a t='&quot;&lt;&#9;&#10;&#13;&amp;>'>\"&amp;&lt;&gt;&#13;<![CDATA[<&]]></a>",
        '<a t="&quot;&lt;&#x9;&#xA;&#xD;&amp;>">"&amp;&lt;&gt;&#xD;&lt;&amp;</a>',
    ),
    "comments go, instructions stay, white space stays": (
        "<?xml version='1.0'?><a>\n <!-- c --><?pi some data?> <?other?></a>",
        "<a>\n <?pi some data?> <?other?></a>",
    ),
    "xml:lang is declared by nobody": ('<a xml:lang="en"/>', '<a xml:lang="en"></a>'),
}


@pytest.mark.parametrize(("document", "wanted"), GOLDEN.values(), ids=GOLDEN)
def test_canonical_form(document, wanted):
    assert canonical(parse(document.encode())).decode() == wanted


def test_an_element_takes_along_what_it_uses_of_its_ancestors_namespaces():
    top = parse(b'<s:e xmlns:s="urn:s" xmlns="urn:d" xmlns:x="urn:x"><b x:y="1"><s:c/></b></s:e>')
    assert canonical(next(children(top))).decode() == (
        '<b xmlns="urn:d" xmlns:x="urn:x" x:y="1"><s:c xmlns:s="urn:s"></s:c></b>'
    )


names = st.sampled_from(["a", "b", "p:a", "q:a"])
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=5).map(
    lambda t: t.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
)
declarations = st.sampled_from(["", ' xmlns="urn:1"', ' xmlns:p="urn:1"', ' xmlns:q="urn:2" xmlns=""'])
trees = st.recursive(
    texts,
    lambda inner: st.tuples(names, declarations, texts, st.lists(inner, max_size=3)).map(
        lambda parts: f'<{parts[0]}{parts[1]} p:x="{parts[2]}">{"".join(parts[3])}</{parts[0]}>'
    ),
)


@given(trees)
def test_what_is_canonical_stays_so(tree):
    once = canonical(parse(f'<t xmlns:p="urn:p" xmlns:q="urn:q">{tree}</t>'.encode()))
    assert canonical(parse(once)) == once


@pytest.mark.parametrize("document", [b"", b"<a", b"<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>", b"\xff"])
def test_what_is_no_safe_xml_is_refused(document):
    with pytest.raises(SignatureError):
        parse(document)


def signed(stamp=STAMP, *, key=KEY, shown=None):
    """A header with a time stamp and its signature; `shown`: another time stamp than the signed one."""
    signature = xmlsignature.signature(parse(stamp.encode()), HMAC_SHA1, xmlsignature.hmac_sha1(key), "")
    return f'<h xmlns:u="urn:other">{shown or stamp}{signature}</h>'


def verify(header, method=HMAC_SHA1):
    stamp, signature = children(parse(header.encode()))
    xmlsignature.verify(signature, stamp, method, lambda data, value: hmac.digest(KEY, data, "sha1") == value)


def test_own_signature_is_right():
    verify(signed())


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (signed(key=b"another"), "wrong signature value"),
        (signed(shown=STAMP.replace("20:00:00", "20:00:01")), "not the one that was signed"),
        (signed(shown=STAMP.replace('u:Id="timestamp"', 'u:Id="other"')), "not the time stamp"),
        (signed(shown=STAMP.replace('u:Id="timestamp"', "")), "not the time stamp"),
        (signed().replace("#hmac-sha1", "#none"), "SignatureMethod"),
        (signed().replace("#sha1", "#md5"), "DigestMethod"),
        (signed().replace("</SignedInfo>", "<Reference></Reference></SignedInfo>"), "2 references"),
        (signed().replace("<SignatureValue>", "<SignatureValue>!"), "not Base64"),
        (signed().replace("SignedInfo", "SignedNothing"), "no SignedInfo"),
    ],
)
def test_whatever_else_is_refused(header, why):
    with pytest.raises(SignatureError, match=why):
        verify(header)


def test_another_method_than_the_wanted_one_is_refused():
    with pytest.raises(SignatureError, match="SignatureMethod"):
        verify(signed(), RSA_SHA1)


def test_key_of_two_halves():
    """RFC 2246 §5, two rounds by hand; SIPE makes the same one (tests/lab/test_sipe.py)."""
    a1 = hmac.digest(b"secret", b"seed", "sha1")
    a2 = hmac.digest(b"secret", a1, "sha1")
    wanted = hmac.digest(b"secret", a1 + b"seed", "sha1") + hmac.digest(b"secret", a2 + b"seed", "sha1")
    assert xmlsignature.p_sha1(b"secret", b"seed", 32) == wanted[:32]
