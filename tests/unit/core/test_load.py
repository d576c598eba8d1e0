"""How busy this process keeps a processor."""

import pytest

from app.core.load import ProcessorLoad

pytestmark = pytest.mark.unit


class Clocks:
    """A clock of the wall and one of the processor."""

    def __init__(self) -> None:
        self.now = self.used = 100.0
        self.load = ProcessorLoad(lambda: self.now, lambda: self.used)

    def pass_by(self, seconds: float, *, share: float, look_each: float = 0.1) -> float:
        """Let time pass, looking again and again, and return what was seen last."""
        seen = self.load()
        for _ in range(round(seconds / look_each)):
            self.now += look_each
            self.used += look_each * share
            seen = self.load()
        return seen


def test_it_begins_idle_and_comes_to_what_is_used() -> None:
    clocks = Clocks()

    assert clocks.load() == 0
    assert 0.1 < clocks.pass_by(0.2, share=0.8) < 0.5
    assert clocks.pass_by(5, share=0.8) == pytest.approx(0.8, abs=0.01)
    assert clocks.pass_by(5, share=0.1) == pytest.approx(0.1, abs=0.01)


def test_who_asks_often_sees_the_same() -> None:
    seldom, often = Clocks(), Clocks()

    assert often.pass_by(2, share=0.5, look_each=0.001) == pytest.approx(seldom.pass_by(2, share=0.5), abs=0.02)


def test_what_was_long_ago_is_forgotten() -> None:
    clocks = Clocks()
    clocks.pass_by(5, share=1)

    assert clocks.pass_by(60, share=0, look_each=60) == 0


def test_several_processors_are_more_than_one() -> None:
    assert Clocks().pass_by(10, share=2.5) == pytest.approx(2.5, abs=0.01)


def test_it_measures_this_process() -> None:
    load = ProcessorLoad()
    while load() == 0:  # works until it shows
        sum(range(1000))

    assert 0 < load() < 64
