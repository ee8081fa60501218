"""Is the corpus what it says, and does the strict reading read: before it may judge anybody."""

from __future__ import annotations

import collections

import pytest

from differential import corpus
from differential.drive import byte_by_byte
from differential.reading import RequestReader
from differential.streams import Kind

ALL = [stream for streams in corpus.requests().values() for stream in streams]


def test_there_are_enough_and_no_two_have_one_name() -> None:
    assert len(ALL) >= 2_000
    assert [
        name for name, count in collections.Counter(stream.name for stream in ALL).items() if count > 1
    ] == []
    kinds = collections.Counter(stream.kind for stream in ALL)
    assert min(kinds.values()) > 400, kinds


def test_valid_streams_are_read_as_they_were_meant() -> None:
    for stream in ALL:
        if stream.kind is Kind.VALID:
            assert stream.reading.fault is None, stream.name
            assert not stream.unfinished, stream.name
            assert len(stream.reading.requests) == stream.count, stream.name
            if stream.told:
                told = [request.meaning for request in stream.told]
                assert [request.meaning for request in stream.reading.requests] == told, stream.name


def test_malicious_streams_are_no_http() -> None:
    assert [s.name for s in ALL if s.kind is Kind.MALICIOUS and s.reading.fault is None] == []


def test_requests_of_a_stream_can_be_told_apart() -> None:
    for stream in ALL:
        if stream.kind is Kind.VALID:
            digests = [request.digest for request in stream.reading.requests]
            assert len(set(digests)) == len(digests), stream.name


@pytest.mark.parametrize("subject", corpus.requests())
def test_the_reading_does_not_depend_on_how_bytes_come(subject: str) -> None:
    for stream in corpus.requests()[subject]:
        if len(stream.data) > 3000:
            continue
        reader = RequestReader(strict_trailers=False)
        for byte in byte_by_byte(stream.data):
            reader.feed(byte)
        assert reader.requests == stream.reading.requests, stream.name
        assert (reader.fault is None) == (stream.reading.fault is None), stream.name
