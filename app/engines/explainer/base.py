"""What makes an explanation of a question."""

from collections.abc import Mapping
from typing import Any, Protocol

from app.models.explanations import Explanation


class Explainer(Protocol):
    """Makes explanations."""

    name: str
    """Kept with what it made: the model's name."""

    async def explain(self, question: str, context: Mapping[str, Any]) -> Explanation:
        """Return an explanation.

        Args:
            question: As the user wrote it.
            context: What else the front end gives; ``language`` is the language to answer in, ``es`` or ``en``.

        Raises:
            ModelError: The model cannot be reached or refuses; it may be tried again.
            ModelIncomplete: The model broke off; the same.
            BadExplanation: What the model said is no explanation, even after it was asked to mend it.
        """
        ...
