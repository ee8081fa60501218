"""Was a client given an answer as it was meant, or none? Never half of one as a whole, never another's."""

from __future__ import annotations

from differential.drive import Conversation
from differential.engines import Engine
from differential.judge import is_refusal
from differential.messages import Request, Response, end_to_end
from differential.origin import OF_OURS
from differential.streams import Answered, Kind, Need


def judge_answer(
    answered: Answered, talk: Conversation, follow_up: Request, engine: Engine, *, spoilt: bool = False
) -> list[str]:
    """Everything that must not be. `follow_up`: what the client asked for next. `spoilt`: the excess of
    another answer came before one of the two, which may then fail."""
    wrong = []
    given = talk.reader
    if talk.hung:
        wrong.append("hung")
    if given.fault and given.responses:
        wrong.append(f"no HTTP/1.1 behind the answer, {given.fault}")
    elif given.fault:
        wrong.append(f"no HTTP/1.1, {given.fault}")
    first = given.responses[0] if given.responses else None
    own = first is not None and _gave_up(first)
    whole = answered.whole
    served = first is not None and whole is not None and same(first, whole)
    if first is not None and not own and not served and not _tolerated(answered, first):
        wrong.append(f"the client took for whole: {first!r:.200}")
    if answered.kind is Kind.VALID and answered.needs <= engine.can and not (served or (own and spoilt)):
        wrong.append("a good answer did not arrive")
    if not all(any(same(interim, known) for known in answered.reading.interim) for interim in given.interim):
        wrong.append(f"interim answers of nobody: {given.interim!r:.200}")
    if Need.EARLY_HINTS in answered.needs & engine.can and len(given.interim) < len(answered.reading.interim):
        wrong.append("interim answers are missing")
    for response in given.responses[1:]:
        is_its_own = response.value(OF_OURS) == b"%s %s" % (talk.client.encode(), follow_up.digest)
        if not is_its_own and not (spoilt and _gave_up(response)):
            wrong.append(f"the next request was answered with {response!r:.200}")
    return [f"{problem}: {bytes(talk.raw)!r:.300}" for problem in wrong]


def _gave_up(response: Response) -> bool:
    return is_refusal(response) and response.status in (502, 504)


def same(given: Response, meant: Response) -> bool:
    if given.meaning != meant.meaning:
        return False
    sent = end_to_end(meant.trailers)
    return all(trailer in sent for trailer in end_to_end(given.trailers))


def _tolerated(answered: Answered, given: Response) -> bool:
    """What an engine may make of an answer whose fault does not touch where it ends."""
    return answered.kind is Kind.ODD and given.value(OF_OURS) is None and given.body in answered.tolerated
