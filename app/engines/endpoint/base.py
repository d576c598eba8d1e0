"""What an end-of-turn engine must do. It hints; silence is the rule."""

from typing import Protocol


class EndpointEngine(Protocol):
    """Judges by its sound whether an utterance is complete."""

    name: str

    async def completeness(self, utterance: bytes) -> float:
        """Return how likely the rider is done, from 0 to 1. Runs off the event loop.

        Args:
            utterance: Mono ``pcm_s16le`` at ``HEARING_RATE``, from its start to the pause that was just noticed; of
                a long one the last seconds.
        """
        ...
