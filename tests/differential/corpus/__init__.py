"""The corpus: what clients send. `requests()` is all of it; names are unique."""

from __future__ import annotations

import functools

from differential.corpus import chunks, fields, generated, lengths, lines, sequences
from differential.streams import Kind, Stream

GENERATED = 300
MUTANTS = 700

BY_HAND = {
    "lines": lines.streams,
    "fields": fields.streams,
    "lengths": lengths.streams,
    "chunks": chunks.streams,
    "sequences": sequences.streams,
}


@functools.cache
def requests() -> dict[str, tuple[Stream, ...]]:
    """By subject."""
    corpus = {subject: tuple(make()) for subject, make in BY_HAND.items()}
    by_hand = [stream for streams in corpus.values() for stream in streams]
    corpus["probes"] = tuple(generated.probes())
    corpus["made"] = tuple(generated.valid_ones(GENERATED))
    corpus["mutants"] = tuple(generated.mutants([*by_hand, *corpus["made"]], MUTANTS))
    return corpus


def short_ones(count: int) -> tuple[Stream, ...]:
    """The shortest streams of every subject and kind, as many of each: those to cut at every byte."""
    groups: dict[tuple[str, Kind], list[Stream]] = {}
    for subject, streams in requests().items():
        for stream in streams:
            if len(stream.data) > 1:
                groups.setdefault((subject, stream.kind), []).append(stream)
    chosen: list[Stream] = []
    for group in groups.values():
        group.sort(key=lambda stream: len(stream.data))
    while len(chosen) < count and any(groups.values()):
        chosen += [group.pop(0) for group in groups.values() if group]
    return tuple(chosen[:count])
