"""What an explanation is sent as."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from app.core.errors import BadInput
from app.models.explanations import (
    CanvasCommand,
    ContentChunk,
    Explanation,
    ExplanationComplete,
    ExplanationStart,
    SentEvent,
    StepComplete,
    StepStart,
    StreamingPaused,
    StreamingResumed,
)
from app.services.explanation_cuts import find_cuts
from app.services.explanation_player import Player
from tests.unit.services.test_explanation_cuts import MARKDOWN

pytestmark = pytest.mark.unit

HASH = "0f" * 32
WORDS = "Una carrera se paga al bajar, en efectivo o con una billetera; la mínima cubre un trayecto corto."


def explanation(*contents: str, commands: tuple[dict[str, Any], ...] = ()) -> Explanation:
    steps = [{"title": f"Paso {n}", "content": content} for n, content in enumerate(contents, 1)]
    return Explanation.model_validate(
        {"steps": [{**steps[0], "canvas_commands": commands}, *steps[1:]], "total_duration": 9}
    )


def play(player: Player, size: int | None = None) -> list[SentEvent]:
    """Send the rest."""
    sent: list[SentEvent] = []
    while not player.is_over:
        assert not player.is_paused
        sent += player.next(size)
    return sent


def text_of(sent: list[SentEvent], step: int = 1) -> str:
    return "".join(event.chunk for event in sent if isinstance(event, ContentChunk) and event.step == step)


def chunks_of(sent: list[SentEvent]) -> list[str]:
    return [event.chunk for event in sent if isinstance(event, ContentChunk)]


def test_it_opens_and_goes_through_every_step_to_the_end() -> None:
    player = Player(explanation("hola", "adiós"), HASH)

    sent = [*player.start(), *play(player)]

    assert sent == [
        ExplanationStart(total_steps=2, estimated_duration=9, question_hash=HASH),
        StepStart(step=1, title="Paso 1", kind="text"),
        ContentChunk(step=1, chunk="hola", position=0, is_final=True),
        StepComplete(step=1),
        StepStart(step=2, title="Paso 2", kind="text"),
        ContentChunk(step=2, chunk="adiós", position=0, is_final=True),
        StepComplete(step=2),
        ExplanationComplete(total_duration=9, steps_completed=2),
    ]
    assert player.next() == []
    assert (player.pause(), player.resume()) == (None, None)


def test_chunks_have_fifty_characters_and_say_where_they_belong() -> None:
    player = Player(explanation(WORDS), HASH)
    player.start()

    first, second = (player.next()[0] for _ in range(2))

    assert first == ContentChunk(step=1, chunk=WORDS[:50], position=0, is_final=False)
    assert second == ContentChunk(step=1, chunk=WORDS[50:], position=50, is_final=True)


def test_a_tick_may_be_larger_or_smaller() -> None:
    player = Player(explanation(WORDS), HASH)
    player.start()

    assert [len(chunks_of(player.next(size))[0]) for size in (3, 20, 1, 0)] == [3, 20, 1, 1]


def test_what_is_longer_than_a_chunk_goes_alone() -> None:
    formula = "$" + "x+" * 40 + "x$"
    player = Player(explanation(f"Así: {formula} fin"), HASH)
    player.start()

    assert chunks_of(play(player)) == ["Así: ", formula, " fin"]


def test_a_canvas_command_comes_before_its_character() -> None:
    commands = (
        {"op": "end"},
        {"op": "b", "at": 5},
        {"op": "first", "at": 0},
        {"op": "c", "at": 5},
        {"op": "far", "at": 99},
    )
    player = Player(explanation("hola mundo", commands=commands), HASH)
    player.start()

    told = [event.chunk if isinstance(event, ContentChunk) else event.command["op"]
            for event in play(player) if isinstance(event, ContentChunk | CanvasCommand)]  # fmt: skip

    assert told == ["first", "hola ", "b", "c", "mundo", "end", "far"]


def test_a_canvas_command_within_a_formula_comes_before_the_formula_and_without_its_place() -> None:
    player = Player(explanation("ab $x+y$ c", commands=({"op": "line", "at": 6, "x1": 1},)), HASH)
    player.start()

    sent = [event for event in play(player) if isinstance(event, ContentChunk | CanvasCommand)]

    assert chunks_of(sent) == ["ab ", "$x+y$ c"]
    assert sent[1] == CanvasCommand(step=1, command={"op": "line", "x1": 1})


def test_pausing_and_resuming_is_said_once_each() -> None:
    player = Player(explanation(WORDS), HASH, pause_message="Alto")
    player.start()
    player.next()

    assert player.pause() == StreamingPaused(step=1, message="Alto")
    assert player.is_paused
    assert player.pause() is None
    assert player.next() == []
    assert player.resume() == StreamingResumed(step=1, position=50)
    assert player.resume() is None
    assert text_of(player.next()) == WORDS[50:]


def test_one_that_is_made_in_the_middle_stands_until_it_is_resumed_and_sends_the_rest() -> None:
    player = Player(explanation(WORDS, "fin", commands=({"op": "a", "at": 3}, {"op": "z"})), HASH, step=1, position=7)

    assert player.next() == []
    assert player.is_paused
    sent = [player.resume(), *play(player)]

    assert sent[0] == StreamingResumed(step=1, position=7)
    assert text_of(sent[1:]) == WORDS[7:]
    assert [event.command for event in sent if isinstance(event, CanvasCommand)] == [{"op": "z"}]
    assert [event.step for event in sent if isinstance(event, StepStart)] == [2]


def test_a_position_within_an_atom_is_honoured_to_the_character() -> None:
    player = Player(explanation("ab $x+y$ c"), HASH, position=5)
    player.resume()

    assert chunks_of([*player.next(1), *player.next(1)]) == ["+y$", " "]


def test_at_the_end_of_a_step_its_end_is_still_to_come() -> None:
    player = Player(explanation("hola", "fin", commands=({"op": "z"},)), HASH, position=4)
    player.resume()

    assert player.next() == [
        CanvasCommand(step=1, command={"op": "z"}),
        StepComplete(step=1),
        StepStart(step=2, title="Paso 2", kind="text"),
    ]


@pytest.mark.parametrize(("step", "position"), [(0, 0), (3, 0), (-1, 0), (1, -1), (1, 5), (2, 4)])
def test_a_place_that_is_not_there_is_refused(step: int, position: int) -> None:
    with pytest.raises(BadInput) as refused:
        Player(explanation("hola", "fin"), HASH, step=step, position=position)

    assert refused.value.error_code == "invalid_place"


@given(content=MARKDOWN, size=st.integers(1, 30))
def test_a_chunk_is_no_longer_than_it_may_be_but_for_one_atom_and_cuts_none(content: str, size: int) -> None:
    player = Player(explanation(content), HASH, chunk_characters=size)
    player.start()
    sent = play(player)
    cuts = {0, *find_cuts(content)}
    chunks = [event for event in sent if isinstance(event, ContentChunk)]

    assert text_of(sent) == content
    for chunk in chunks:
        start, end = chunk.position, chunk.position + len(chunk.chunk)
        assert {start, end} <= cuts
        assert len(chunk.chunk) <= size or not cuts & set(range(start + 1, end))
    assert [chunk.is_final for chunk in chunks] == [False] * (len(chunks) - 1) + [True]


@given(content=MARKDOWN, data=st.data())
def test_from_any_position_the_rest_is_sent_to_the_character(content: str, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(content)))
    player = Player(explanation(content), HASH, position=position)
    player.resume()

    assert text_of(play(player, data.draw(st.integers(1, 60)))) == content[position:]


COMMANDS = st.lists(
    st.fixed_dictionaries({"op": st.just("line")}, optional={"at": st.integers(0, 120)}), max_size=6
).map(lambda commands: [{**command, "number": number} for number, command in enumerate(commands)])
STEPS = st.lists(
    st.fixed_dictionaries({"title": st.just("t"), "content": MARKDOWN, "canvas_commands": COMMANDS}),
    min_size=1,
    max_size=3,
)


class Listening(RuleBasedStateMachine):
    """A listener who pauses, loses the connection and comes back; what it has is held against the content."""

    @initialize(steps=STEPS, size=st.integers(1, 60))
    def begin(self, steps: list[dict[str, Any]], size: int) -> None:
        self.explanation = Explanation.model_validate({"steps": steps, "total_duration": 5})
        self.player = Player(self.explanation, HASH, chunk_characters=size)
        self.sent: list[SentEvent] = list(self.player.start())
        self.seen = [(1, 0, len(self.sent))]
        """Places that the listener could say it is at, with how much it had there."""

    @precondition(lambda self: not self.player.is_over)
    @rule(size=st.none() | st.integers(1, 200))
    def tick(self, size: int | None) -> None:
        events = self.player.next(size)

        assert bool(events) is not (self.player.is_paused and not self.player.is_over)
        assert sum(isinstance(event, ContentChunk) for event in events) <= 1
        self.sent += events
        if events and not self.player.is_over:
            self.seen.append((self.player.step, self.player.position, len(self.sent)))

    @rule()
    def pause(self) -> None:
        was_running = not (self.player.is_paused or self.player.is_over)
        paused = self.player.pause()

        assert (paused is not None) is was_running
        assert self.player.next() == []
        self.sent += [paused] if paused else []

    @rule()
    def resume(self) -> None:
        was_paused, place = self.player.is_paused, (self.player.step, self.player.position)
        resumed = self.player.resume()

        assert (resumed is not None) is was_paused
        assert resumed is None or (resumed.step, resumed.position) == place
        self.sent += [resumed] if resumed else []

    @rule(data=st.data())
    def come_back(self, data: st.DataObject) -> None:
        """The listener has what it had at some place, and nothing of what was sent since."""
        step, position, had = data.draw(st.sampled_from(self.seen))
        self.seen = [place for place in self.seen if place[2] <= had]
        self.sent = self.sent[:had]
        self.player = Player(
            self.explanation, HASH, step=step, position=position, chunk_characters=data.draw(st.integers(1, 60))
        )
        self.resume()

    @invariant()
    def what_was_sent_is_the_content_so_far(self) -> None:
        for number, step in enumerate(self.explanation.steps, 1):
            due = step.content
            if number == self.player.step and not self.player.is_over:
                due = due[: self.player.position]
            elif number > self.player.step:
                due = ""
            assert text_of(self.sent, number) == due

    @invariant()
    def every_drawing_came_once_and_not_behind_its_character(self) -> None:
        for number, step in enumerate(self.explanation.steps, 1):
            numbered = [event.command["number"] for event in self.sent
                        if isinstance(event, CanvasCommand) and event.step == number]  # fmt: skip
            assert len(set(numbered)) == len(numbered)
            if number < self.player.step or self.player.is_over:
                assert len(numbered) == len(step.canvas_commands)
            place = 0
            for event in self.sent:
                if isinstance(event, ContentChunk) and event.step == number:
                    place = event.position + len(event.chunk)
                elif isinstance(event, CanvasCommand) and event.step == number:
                    at = step.canvas_commands[event.command["number"]].at
                    assert place <= (len(step.content) if at is None else at)

    @invariant()
    def the_events_follow_the_grammar(self) -> None:
        assert isinstance(self.sent[0], ExplanationStart)
        told = [event for event in self.sent[1:] if not isinstance(event, StreamingPaused | StreamingResumed)]
        assert isinstance(told[0], StepStart)
        for before, event in pairwise(told):
            match event:
                case StepStart():
                    assert isinstance(before, StepComplete)
                    assert event.step == before.step + 1
                case ContentChunk() | CanvasCommand() | StepComplete():
                    assert isinstance(before, StepStart | ContentChunk | CanvasCommand)
                    assert event.step == before.step
                case _:
                    assert isinstance(event, ExplanationComplete)
                    assert isinstance(before, StepComplete)
        assert isinstance(told[-1], ExplanationComplete) is self.player.is_over
        finals = [event.step for event in told if isinstance(event, ContentChunk) and event.is_final]
        assert finals == sorted(set(finals))
        assert all(event.chunk for event in told if isinstance(event, ContentChunk))

    @invariant()
    def pauses_and_resumes_alternate(self) -> None:
        held = [event for event in self.sent if isinstance(event, StreamingPaused)]
        assert len(held) <= sum(isinstance(event, StreamingResumed) for event in self.sent) + 1


TestListening = Listening.TestCase
TestListening.settings = settings(max_examples=60, stateful_step_count=30)
