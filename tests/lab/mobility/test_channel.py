"""The event channel: what releases a held poll, and what happens to those who stay away."""

import asyncio

import pytest

from lyncgate.lab.channel import MOST_WAITING, Answer, Channel, Outcome, Patience, PollReplacedError, Urgency
from lyncgate.lab.ucwa import ACTIVE_LIFETIME, IDLE_LIFETIME, RESUME_AFTER, Applications, ExpiredError

LONG = Patience(timeout=60, low=60, medium=60)


class Clock:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def held(channel: Channel[str], patience: Patience, priority: int = 0) -> asyncio.Task[Answer[str]]:
    poll = asyncio.create_task(channel.poll(channel.expected_ack, patience, priority))
    await channel.polling.wait()
    return poll


def test_news_of_high_urgency_takes_what_waits_along():
    async def run():
        channel: Channel[str] = Channel()
        poll = await held(channel, LONG)
        channel.push("low", Urgency.LOW)
        channel.push("medium", Urgency.MEDIUM)
        await asyncio.sleep(0)
        assert not poll.done()
        channel.push("high")
        assert (await poll).events == ("low", "medium", "high")

    asyncio.run(run())


@pytest.mark.parametrize(
    ("urgency", "patience"),
    [
        (Urgency.LOW, Patience(timeout=60, low=0.02, medium=60)),
        (Urgency.MEDIUM, Patience(timeout=60, low=60, medium=0.02)),
    ],
)
def test_news_is_released_when_it_has_waited_for_as_long_as_its_urgency_allows(urgency, patience):
    async def run():
        channel: Channel[str] = Channel()
        poll = await held(channel, patience)
        channel.push("news", urgency)
        await asyncio.sleep(0)
        assert not poll.done()
        assert (await asyncio.wait_for(poll, 10)).events == ("news",)

    asyncio.run(run())


def test_news_that_waited_before_the_poll_came_is_not_made_to_wait_again():
    async def run():
        clock = Clock()
        channel: Channel[str] = Channel(clock=clock)
        channel.push("news", Urgency.LOW)
        clock.now += 30
        assert (await channel.poll(1, Patience(timeout=60, low=20))).events == ("news",)

    asyncio.run(run())


def test_times_are_kept_for_later_polls():
    async def run():
        channel: Channel[str] = Channel()
        channel.push("first")
        await channel.poll(1, LONG)
        channel.push("second")
        await channel.poll(2)
        assert channel.patience == LONG

    asyncio.run(run())


def test_poll_of_lower_priority_does_not_replace_the_held_one():
    async def run():
        channel: Channel[str] = Channel()
        poll = await held(channel, LONG, priority=2)
        with pytest.raises(PollReplacedError):
            await channel.poll(1, LONG, priority=1)
        channel.push("news")
        assert (await poll).events == ("news",)

    asyncio.run(run())


def test_after_too_much_news_the_client_has_to_resync():
    async def run():
        channel: Channel[int] = Channel()
        for number in range(MOST_WAITING + 1):
            channel.push(number)
        assert (await channel.poll(1, LONG)).outcome is Outcome.RESYNC
        answer = await channel.poll(1, LONG)
        assert (answer.outcome, answer.events[0], len(answer.events)) == (Outcome.NEWS, 1, MOST_WAITING)

    asyncio.run(run())


def test_who_was_absent_resumes_and_has_lost_the_news():
    async def run():
        clock = Clock()
        channel: Channel[str] = Channel(resume_after=300, clock=clock)
        channel.push("first")
        await channel.poll(1, LONG)
        channel.push("missed")
        clock.now += 301
        resumed = await channel.poll(2)
        assert (resumed.outcome, resumed.events, channel.patience) == (Outcome.RESUME, (), Patience())
        channel.push("new")
        assert (await channel.poll(resumed.next_ack)).events == ("new",)

    asyncio.run(run())


def test_a_held_poll_is_no_absence():
    async def run():
        clock = Clock()
        channel: Channel[str] = Channel(resume_after=300, clock=clock)
        poll = await held(channel, Patience(timeout=1800))
        clock.now += 1000
        channel.push("news")
        answer = await poll
        channel.push("more")
        assert (await channel.poll(answer.next_ack)).outcome is Outcome.NEWS

    asyncio.run(run())


class TestLifeOfAnApplication:
    def test_ends_without_requests_once_with_410_then_404(self):
        clock = Clock()
        applications = Applications(clock=clock)
        application = applications.create("alice@contoso.example", "/ucwa/v1/applications")
        clock.now += IDLE_LIFETIME
        assert applications.get(application.id) is application
        clock.now += 1
        with pytest.raises(ExpiredError):
            applications.get(application.id)
        assert applications.get(application.id) is None

    def test_is_kept_by_a_held_poll_but_not_for_ever_when_available(self):
        async def run():
            clock = Clock()
            applications = Applications(clock=clock)
            application = applications.create("alice@contoso.example", "/ucwa/v1/applications")
            application.available = True
            poll = asyncio.create_task(application.poll(1, LONG))
            await application.polling.wait()
            clock.now += IDLE_LIFETIME + 1
            assert applications.get(application.id) is application
            clock.now += ACTIVE_LIFETIME
            with pytest.raises(ExpiredError):
                applications.get(application.id)
            poll.cancel()

        asyncio.run(run())

    def test_is_resumed_after_an_absence(self):
        async def run():
            clock = Clock()
            applications = Applications(clock=clock)
            application = applications.create("alice@contoso.example", "/ucwa/v1/applications")
            application.push({"type": "added"})
            clock.now += RESUME_AFTER + 1
            answer = await application.poll(1)
            assert "resume" in answer["_links"]
            assert "sender" not in answer
            assert answer["_links"]["resume"]["href"] == application.events_path

        asyncio.run(run())


def test_hundred_requests_of_a_user_may_be_under_way_in_batches():
    applications = Applications()
    assert applications.begin_batch("alice@contoso.example", 60)
    assert applications.begin_batch("alice@contoso.example", 40)
    assert not applications.begin_batch("alice@contoso.example", 1)
    assert applications.begin_batch("bob@contoso.example", 100)
    applications.end_batch("alice@contoso.example", 60)
    assert applications.begin_batch("alice@contoso.example", 60)
