"""The MCX codec: what is written is read again, in any wire form; what isn't ours is refused."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.lync import mcx

# What XML can hold, minus CR, which every XML reader turns into LF.
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"))
NUMBER = st.integers(0, 999_999_999)
MAPPING = st.dictionaries(TEXT, TEXT, max_size=4)
BY_ANNOTATION = {
    "str": TEXT,
    "int": NUMBER,
    "Mapping[str, str]": MAPPING,
    "tuple[Event, ...]": st.lists(st.builds(mcx.Event, TEXT, MAPPING), max_size=4).map(tuple),
}
FORMS = (mcx.DEFAULT, mcx.WireForm.from_text("namespace=urn:x InitiateSession=StartSession Command=Do"))


def messages(*classes: type) -> st.SearchStrategy[object]:
    return st.one_of(
        st.builds(cls, **{field.name: BY_ANNOTATION[field.type] for field in dataclasses.fields(cls)})
        for cls in classes
    )


REQUESTS = (mcx.InitiateSession, mcx.GetNextEvents, mcx.Command, mcx.SubscribePush, mcx.TerminateSession)
ANSWERS = (mcx.SessionInitiated, mcx.Events, mcx.CommandDone, mcx.PushSubscribed, mcx.SessionTerminated)


@given(messages(*REQUESTS), st.sampled_from(FORMS))
def test_request_is_read_as_it_was_written(request_, form):
    assert mcx.decode_request(mcx.encode(request_, form), form) == request_


@given(
    messages(*ANSWERS) | st.builds(mcx.Fault, st.sampled_from(sorted(mcx.FAULTS)), TEXT),
    st.sampled_from(FORMS),
)
def test_answer_is_read_as_it_was_written(answer, form):
    assert mcx.decode_answer(mcx.encode(answer, form), form) == answer


@given(messages(mcx.GetNextEvents))
def test_poll_by_get_is_read_as_it_was_written(poll):
    query = mcx.encode_poll_query(poll)
    if poll.session:
        assert mcx.decode_poll_query(query) == poll
    else:
        with pytest.raises(mcx.McxError):
            mcx.decode_poll_query(query)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_anything_else_is_refused_with_one_kind_of_error(body):
    with pytest.raises(mcx.McxError):
        mcx.decode_request(body)
    with pytest.raises(mcx.McxError):
        mcx.decode_answer(body)


ENVELOPE = (
    f'<s:Envelope xmlns:s="{mcx.SOAP}" xmlns="{mcx.DEFAULT.namespace}"><s:Body>{{}}</s:Body></s:Envelope>'
)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<TerminateSession/>",
        "<Dance><Session>s</Session></Dance>",
        "<TerminateSession><Session>s</Session></TerminateSession>" * 2,
        "<GetNextEvents><Session>s</Session><Ack>one</Ack><Timeout>5</Timeout></GetNextEvents>",
        "<GetNextEvents><Session>s</Session><Ack>-1</Ack><Timeout>5</Timeout></GetNextEvents>",
    ],
)
def test_envelope_that_makes_no_sense_is_refused(body):
    with pytest.raises(mcx.McxError):
        mcx.decode_request(ENVELOPE.format(body).encode())


def test_document_type_is_refused_before_it_is_read():
    bomb = '<!DOCTYPE x [<!ENTITY e "boom">]>' + ENVELOPE.format(
        "<TerminateSession><Session>&e;</Session></TerminateSession>"
    )
    with pytest.raises(mcx.McxError, match="document type"):
        mcx.decode_request(bomb.encode())


def test_request_in_another_namespace_is_refused():
    other = mcx.WireForm.from_text("namespace=urn:other")
    with pytest.raises(mcx.McxError, match="no operation"):
        mcx.decode_request(mcx.encode(mcx.TerminateSession("s"), other))


def test_wire_form_names_the_soap_action():
    start = mcx.InitiateSession("Android", "e", "ua")
    assert mcx.DEFAULT.action(start) == '"urn:lyncgate:mcx:guess/InitiateSession"'
    assert FORMS[1].action(start) == '"urn:x/StartSession"'


@pytest.mark.parametrize("text", ["poll_method", "poll_method=", "poll_method=PUT", "names=x", "Dance=y"])
def test_wire_form_that_makes_no_sense_is_refused(text):
    with pytest.raises(ValueError):
        mcx.WireForm.from_text(text)
