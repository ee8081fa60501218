"""The event channel: one held poll, acknowledged in order."""

import asyncio
import functools
from collections.abc import Awaitable, Callable

import pytest

from lyncgate.lab.channel import Patience
from lyncgate.lab.ucwa import Application, Applications, PollReplacedError

EVENT: dict[str, object] = {"type": "added"}


def asynchronous(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Run the test on a loop of its own."""

    @functools.wraps(test)
    def run() -> None:
        asyncio.run(test())

    return run


def application() -> Application:
    return Applications().create("alice@contoso.example", "/ucwa/v1/applications")


def next_ack(app: Application, answer: dict[str, object]) -> str:
    return answer["_links"]["next"]["href"].removeprefix(f"{app.base}/events?ack=")


@asynchronous
async def test_event_releases_the_held_poll():
    app = application()
    poll = asyncio.create_task(app.poll(1, Patience(60)))
    await app.polling.wait()
    app.push(EVENT)
    answer = await poll
    assert answer["sender"][0]["events"] == [EVENT]
    assert next_ack(app, answer) == "2"
    assert not app.held


@asynchronous
async def test_events_of_the_meantime_are_given_at_once_and_once():
    app = application()
    app.push(EVENT)
    app.push(EVENT)
    first = await app.poll(1, Patience(60))
    assert first["sender"][0]["events"] == [EVENT, EVENT]
    assert "sender" not in await app.poll(2, Patience(0))


@asynchronous
async def test_timeout_is_answered_with_next_alone():
    app = application()
    answer = await app.poll(1, Patience(0))
    assert "sender" not in answer
    assert next_ack(app, answer) == "2"


@asynchronous
async def test_second_poll_with_the_same_ack_replaces_the_first():
    app = application()
    first = asyncio.create_task(app.poll(1, Patience(60)))
    await app.polling.wait()
    second = asyncio.create_task(app.poll(1, Patience(60)))
    with pytest.raises(PollReplacedError):
        await first
    await app.polling.wait()
    app.push(EVENT)
    assert next_ack(app, await second) == "2"


@asynchronous
async def test_lost_answer_is_given_again():
    app = application()
    app.push(EVENT)
    assert await app.poll(1, Patience(60)) == await app.poll(1, Patience(60))


@asynchronous
async def test_ack_that_was_never_handed_out_leads_to_resync():
    app = application()
    answer = await app.poll(7, Patience(60))
    assert answer["_links"]["resync"]["href"] == f"{app.base}/events?ack=1"
    assert "next" not in answer["_links"]


@asynchronous
async def test_poll_whose_client_left_loses_no_event():
    app = application()
    poll = asyncio.create_task(app.poll(1, Patience(60)))
    await app.polling.wait()
    poll.cancel()
    await asyncio.gather(poll, return_exceptions=True)
    assert not app.held
    app.push(EVENT)
    assert (await app.poll(1, Patience(60)))["sender"][0]["events"] == [EVENT]


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [(None, 180), ("900", 900), ("10", 180), ("3600", 1800), ("soon", 180), ("-5", 180)],
)
def test_poll_timeouts_keep_to_the_limits_of_the_protocol(asked, seconds):
    query = {} if asked is None else {"timeout": asked}
    assert Applications().patience(query, Patience()).timeout == seconds
