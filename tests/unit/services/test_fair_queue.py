"""Who is next when many wait."""

from collections import Counter

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.services.fair_queue import FairQueue

pytestmark = pytest.mark.unit

USERS = ("ana", "beto", "cata")


def drain(queue: FairQueue[str]) -> list[str]:
    order = []
    while (job := queue.begin()) is not None:
        order.append(job)
        queue.end(job)
    return order


def test_users_take_turns_and_each_keeps_its_order() -> None:
    queue: FairQueue[str] = FairQueue(1)
    for job in ("a1", "a2", "a3", "b1", "c1", "b2"):
        queue.add(job[0], job)

    assert queue.places() == {"a1": 1, "b1": 2, "c1": 3, "a2": 4, "b2": 5, "a3": 6}
    assert drain(queue) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_no_more_run_than_may() -> None:
    queue: FairQueue[str] = FairQueue(2)
    for job in ("a1", "b1", "c1"):
        queue.add(job[0], job)

    assert [queue.begin(), queue.begin(), queue.begin()] == ["a1", "b1", None]
    queue.end("a1")
    assert queue.begin() == "c1"


def test_who_leaves_is_not_waited_for() -> None:
    queue: FairQueue[str] = FairQueue(1)
    for job in ("a1", "b1", "c1"):
        queue.add(job[0], job)
    queue.end("b1")
    queue.end("nobody's")

    assert len(queue) == 2
    assert drain(queue) == ["a1", "c1"]


class Waiting(RuleBasedStateMachine):
    """Jobs come, begin, end and leave; what each was told of its place is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: FairQueue[tuple[str, int]] = FairQueue(2)
        self.count = 0
        self.running: list[tuple[str, int]] = []
        self.waiting: list[tuple[str, int]] = []
        self.first_places: dict[tuple[str, int], int] = {}
        self.begun: Counter[str] = Counter()

    @rule(user=st.sampled_from(USERS))
    def come(self, user: str) -> None:
        self.count += 1
        self.queue.add(user, (user, self.count))
        self.waiting.append((user, self.count))

    @rule()
    def begin(self) -> None:
        expected = self.queue.places()
        job = self.queue.begin()
        if job is None:
            assert len(self.running) == 2 or not self.waiting
            return
        assert expected[job] == 1, "the one begins that was told to be next"
        assert job == min(each for each in self.waiting if each[0] == job[0]), "a user's jobs keep their order"
        self.waiting.remove(job)
        self.running.append(job)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.running))
        self.queue.end(job)
        self.running.remove(job)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.waiting))
        self.queue.end(job)
        self.waiting.remove(job)

    @invariant()
    def everybody_has_a_place(self) -> None:
        assert sorted(self.queue.places()) == sorted(self.waiting)
        assert sorted(self.queue.places().values()) == list(range(1, len(self.waiting) + 1))
        assert (len(self.queue), self.queue.running) == (len(self.waiting), len(self.running))
        assert len(self.running) <= 2

    @invariant()
    def nobody_who_waits_first_for_a_user_is_overtaken(self) -> None:
        places = self.queue.places()
        firsts = {min(each for each in self.waiting if each[0] == user) for user, _ in self.waiting}
        for job in firsts:
            assert places[job] <= len(firsts)
            assert places[job] <= self.first_places.get(job, len(firsts))
        self.first_places = {job: places[job] for job in firsts}


TestWaiting = Waiting.TestCase
