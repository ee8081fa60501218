"""Was a stream refused, or understood as it was meant? What is wrong, in words, for everything else."""

from __future__ import annotations

from collections.abc import Sequence

from differential.drive import Conversation
from differential.engines import Engine
from differential.messages import Request, Response, end_to_end
from differential.origin import OF_OURS
from differential.reading import RequestReader
from differential.streams import Kind, Stream


def is_refusal(response: Response) -> bool:
    return response.status >= 400 and response.value(OF_OURS) is None and not response.body


def judge(stream: Stream, talk: Conversation, seen: Sequence[Request], engine: Engine) -> list[str]:
    """Everything that must not be. `seen`: what the origin saw for this client."""
    wrong = list(_conversation(stream, talk))
    misread = _as_meant(stream.reading, talk, seen)
    if misread and _as_meant(stream.tolerated, talk, seen):
        wrong += misread
    if stream.kind is Kind.MALICIOUS:
        wrong += _refused(stream, talk)
    if stream.kind is Kind.VALID and stream.needs <= engine.can:
        answers = [response for response in talk.reader.responses if response.value(OF_OURS)]
        if len(answers) != len(stream.reading.requests):
            wrong.append(
                f"{len(answers)} of {len(stream.reading.requests)} answered: {bytes(talk.raw)!r:.300}"
            )
    return wrong


def _conversation(stream: Stream, talk: Conversation) -> list[str]:
    wrong = []
    if talk.hung:
        wrong.append(f"hung, after {len(talk.reader.responses)} answers: {bytes(talk.raw)!r:.300}")
    if talk.reader.fault:
        wrong.append(f"the client was given no HTTP/1.1, {talk.reader.fault}: {bytes(talk.raw)!r:.300}")
    if talk.reader.ended and talk.reader.rest:
        wrong.append(f"bytes after the last answer: {talk.reader.rest!r:.100}")
    if talk.reader.partial is not None:
        wrong.append(f"an answer was cut off: {bytes(talk.raw)!r:.300}")
    return wrong


def _as_meant(reading: RequestReader, talk: Conversation, seen: Sequence[Request]) -> list[str]:
    return _requests(reading.requests, seen) + _answers(reading, talk, seen)


def _requests(meant: Sequence[Request], seen: Sequence[Request]) -> list[str]:
    """Those seen have to be among those meant, in their order, each once."""
    wrong, rest = [], iter(meant)
    for request in seen:
        for candidate in rest:
            if candidate.meaning == request.meaning:
                wrong += _trailers(candidate, request)
                break
        else:
            wrong.append(f"the origin saw what was not meant: {request!r:.300}")
            return wrong
    return wrong


def _trailers(meant: Request, seen: Request) -> list[str]:
    if any(trailer not in end_to_end(meant.trailers) for trailer in end_to_end(seen.trailers)):
        return [f"trailers that were not sent: {seen.trailers!r:.200}"]
    return []


def _answers(reading: RequestReader, talk: Conversation, seen: Sequence[Request]) -> list[str]:
    """Each answer is to the request at its place, or a refusal by the edge."""
    wrong = []
    meant, digests = reading.requests, {request.digest for request in seen}
    for number, response in enumerate(talk.reader.responses):
        ours = response.value(OF_OURS)
        if ours is None:
            if not is_refusal(response):
                wrong.append(f"an answer of whom? {response!r:.300}")
        elif number >= len(meant):
            wrong.append(f"an answer too many: {response!r:.300}")
        elif ours != b"%s %s" % (talk.client.encode(), meant[number].digest):
            wrong.append(f"answer {number} is to another request or client: {ours!r}")
        elif meant[number].digest not in digests:
            wrong.append(f"answer {number} is to a request that the origin did not see")
    allowed = len(meant) + bool(reading.fault or reading.begun or reading.rest)
    if len(talk.reader.responses) > allowed:
        wrong.append(f"{len(talk.reader.responses)} answers to {len(meant)} requests")
    return wrong


def _refused(stream: Stream, talk: Conversation) -> list[str]:
    """A status, nothing more, and the end of the connection."""
    responses = talk.reader.responses
    if not responses or not is_refusal(responses[-1]):
        return [f"not refused ({stream.reading.fault}): {bytes(talk.raw)!r:.200}"]
    if talk.prompted:
        return ["refused, but the connection stayed open"]
    return []
