"""What an explanation is sent as, tick by tick. Pure: who calls it knows the clock and the connection."""

from bisect import bisect_left, bisect_right

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

CHUNK_CHARACTERS = 50


class Player:
    """An explanation, and how far it was sent.

    A new player stands still until it is told how it begins: ``start()`` for a listener who has nothing yet,
    ``resume()`` for one who has everything before (``step``, ``position``). Every tick is one ``next()``:
    the canvas commands of this place and one chunk; or, behind the last character of a step, the commands of its
    end, ``step_complete``, and the ``step_start`` of the next one or ``explanation_complete``.

    (``step``, ``position``) is all that must be kept to go on elsewhere. It stands for everything that was sent:
    position 0 says that the ``step_start`` was, the length of the content says that the ``step_complete`` was not.
    Who resumes is sent exactly the rest, on a new connection too: no ``step_start`` comes twice, because a page
    that kept its steps over a lost connection would show the step twice. A page that was loaded anew has nothing
    to go on with; it asks again, which costs nothing, since the answer is saved by then.

    A canvas command ``at`` n comes before the character n; where n lies within an atom (see
    ``explanation_cuts``), before the atom. One without a place, or with one behind the content, comes at the end.

    Attributes:
        step: Number of the step, from 1.
        position: The first character of its content that was not sent, counted in code points.
    """

    def __init__(
        self,
        explanation: Explanation,
        question_hash: str,
        *,
        step: int = 1,
        position: int = 0,
        chunk_characters: int = CHUNK_CHARACTERS,
        pause_message: str = "Explicación en pausa.",
    ) -> None:
        """Stand at a place.

        Args:
            explanation: What is sent.
            question_hash: The name of its question.
            step: The step to go on with.
            position: The first character that the listener does not have; it may lie within an atom.
            chunk_characters: Longest chunk, in code points; an atom that is longer goes alone.
            pause_message: What ``streaming_paused`` says.

        Raises:
            BadInput: ``invalid_place``: the explanation has no such step, or the step no such position.
        """
        steps = explanation.steps
        if not 1 <= step <= len(steps) or not 0 <= position <= len(steps[step - 1].content):
            raise BadInput("La explicación no tiene ese lugar.", code="invalid_place")
        self.step = step
        self.position = position
        self._explanation = explanation
        self._question_hash = question_hash
        self._chunk_characters = chunk_characters
        self._pause_message = pause_message
        self._is_running = False
        self._is_over = False
        self._enter_step()

    @property
    def is_paused(self) -> bool:
        """Whether it stands still: it was paused, or not yet begun."""
        return not self._is_running and not self._is_over

    @property
    def is_over(self) -> bool:
        """Whether everything was sent."""
        return self._is_over

    def start(self) -> list[SentEvent]:
        """Begin for a listener who has nothing yet, and return what opens the explanation and its step."""
        self._is_running = not self._is_over
        opening = ExplanationStart(
            total_steps=len(self._explanation.steps),
            estimated_duration=self._explanation.total_duration,
            question_hash=self._question_hash,
        )
        return [opening, self._step_start()]

    def pause(self) -> StreamingPaused | None:
        """Stand still. Returns None where that changes nothing."""
        if not self._is_running:
            return None
        self._is_running = False
        return StreamingPaused(step=self.step, message=self._pause_message)

    def resume(self) -> StreamingResumed | None:
        """Go on where it stands. Returns None where that changes nothing."""
        if not self.is_paused:
            return None
        self._is_running = True
        return StreamingResumed(step=self.step, position=self.position)

    def next(self, size: int | None = None) -> list[SentEvent]:
        """Return the events of the next tick, none where it stands still or is over.

        Args:
            size: Longest chunk of this tick, in code points; None is ``chunk_characters``.
        """
        if not self._is_running:
            return []
        events: list[SentEvent] = []
        while self._next_command < len(self._commands) and self._commands[self._next_command][0] <= self.position:
            _, command = self._commands[self._next_command]
            events.append(CanvasCommand(step=self.step, command=command))
            self._next_command += 1
        if self.position < len(self._content):
            events.append(self._chunk(max(1, self._chunk_characters if size is None else size)))
        else:
            events += self._end_step()
        return events

    def _enter_step(self) -> None:
        step = self._explanation.steps[self.step - 1]
        self._content = step.content
        self._cuts = find_cuts(step.content)
        self._commands = sorted(
            ((self._place_of(command.at), dict(command.model_extra or {})) for command in step.canvas_commands),
            key=lambda placed: placed[0],
        )
        self._next_command = bisect_left(self._commands, self.position, key=lambda placed: placed[0])

    def _place_of(self, at: int | None) -> int:
        """Return where a command is sent: at the beginning of the atom that it would come into."""
        if at is None or at >= len(self._content):
            return len(self._content)
        index = bisect_right(self._cuts, at)
        return self._cuts[index - 1] if index else 0

    def _chunk(self, size: int) -> ContentChunk:
        start = self.position
        index = bisect_right(self._cuts, start)  # the end of the atom that is next
        farthest = bisect_right(self._cuts, start + size) - 1
        end = self._cuts[max(index, farthest)]
        if self._next_command < len(self._commands):
            end = min(end, self._commands[self._next_command][0])
        self.position = end
        return ContentChunk(
            step=self.step, chunk=self._content[start:end], position=start, is_final=end == len(self._content)
        )

    def _end_step(self) -> list[SentEvent]:
        completed = StepComplete(step=self.step)
        steps = self._explanation.steps
        if self.step == len(steps):
            self._is_running, self._is_over = False, True
            ending = ExplanationComplete(total_duration=self._explanation.total_duration, steps_completed=len(steps))
            return [completed, ending]
        self.step, self.position = self.step + 1, 0
        self._enter_step()
        return [completed, self._step_start()]

    def _step_start(self) -> StepStart:
        step = self._explanation.steps[self.step - 1]
        return StepStart(step=self.step, title=step.title, kind=step.type)
