"""How often one address may ask, by a clock of the test's own."""

import asyncio
import json

import pytest

from apps.limits import _MOST, Budget, RateLimit


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_half_a_minutes_questions_come_at_once_then_they_trickle(clock):
    budget = Budget(60, clock)
    assert [budget.wait("a") for _ in range(30)] == [0.0] * 30
    assert budget.wait("a") == pytest.approx(1.0)
    clock.now += 0.5
    assert budget.wait("a") == pytest.approx(0.5)
    clock.now += 0.5
    assert budget.wait("a") == 0.0
    assert budget.wait("a") > 0


def test_in_the_long_run_it_is_so_many_a_minute(clock):
    budget, let_through = Budget(120, clock), 0
    for _ in range(6000):
        clock.now += 0.1
        let_through += budget.wait("a") == 0
    assert let_through == pytest.approx(10 * 120 + 60, abs=1)


def test_addresses_have_budgets_of_their_own(clock):
    budget = Budget(2, clock)
    assert [budget.wait(a) for a in "abc"] == [0.0] * 3
    assert budget.wait("a") > 0 and budget.wait("b") > 0


def test_who_is_refused_does_not_wait_longer_for_asking_again(clock):
    budget = Budget(2, clock)
    budget.wait("a")
    assert [budget.wait("a") for _ in range(5)] == [pytest.approx(30.0)] * 5


def test_addresses_that_have_waited_are_forgotten_and_those_that_ask_are_not(clock):
    budget = Budget(2, clock)
    for number in range(_MOST - 1):
        budget.wait(str(number))
    clock.now += 40
    budget.wait("busy")
    assert budget.wait("new") == 0.0
    assert set(budget._accounts) == {"busy", "new"}
    assert budget.wait("busy") > 0


def test_a_flood_of_addresses_does_not_grow_for_ever(clock):
    budget = Budget(2, clock)
    for number in range(3 * _MOST):
        budget.wait(str(number))
    assert len(budget._accounts) <= _MOST


def answers(limit, *scopes):
    """Status and body of each request."""
    got = []

    async def send(message):
        got.append(message)

    async def ask():
        for scope in scopes:
            await limit(scope, None, send)

    asyncio.run(ask())
    return got


async def app(scope, receive, send):
    await send("let through")


def scope(path, method="POST", client=("10.0.0.1", 5)):
    return {"type": "http", "method": method, "path": path, "client": client}


def test_the_refusal_says_how_long_to_wait(clock):
    limit = RateLimit(app, Budget(2, clock))
    first, start, body = answers(limit, scope("/gradio_api/queue/join"), scope("/gradio_api/queue/join"))
    assert first == "let through"
    assert start["status"] == 429 and (b"retry-after", b"30") in start["headers"]
    assert json.loads(body["body"]) == {"detail": "too many questions at once; wait 30 s and ask again"}


FREE = {
    "the page": scope("/", "GET"),
    "an answer": scope("/gradio_api/queue/data", "GET"),
    "a file": scope("/gradio_api/file=/a.jpg", "GET"),
    "frames of a camera": scope("/gradio_api/stream/abc"),
    "start of the server": {"type": "lifespan"},
}


@pytest.mark.parametrize("free", FREE.values(), ids=FREE.keys())
def test_pages_answers_and_frames_are_free(clock, free):
    assert answers(RateLimit(app, Budget(2, clock)), *[free] * 5) == ["let through"] * 5


ASKING = ["/gradio_api/upload", "/gradio_api/queue/join", "/gradio_api/call/look", "/gradio_api/run/predict", "/login"]


@pytest.mark.parametrize("path", ASKING)
def test_every_way_to_ask_counts(clock, path):
    limit = RateLimit(app, Budget(2, clock))
    assert len(answers(limit, scope(path), scope(path), scope(path, client=("10.0.0.2", 5)))) == 4  # 1, refusal of 2, 1


def test_a_visitor_has_one_budget_however_many_addresses_of_the_sixth_version(clock):
    limit = RateLimit(app, Budget(2, clock))
    same = [scope("/gradio_api/queue/join", client=(f"2001:db8:1:2::{n}", 5)) for n in (1, 2)]
    other = scope("/gradio_api/queue/join", client=("2001:db8:1:3::1", 5))
    first, start, _, last = answers(limit, *same, other)
    assert (first, start["status"], last) == ("let through", 429, "let through")
