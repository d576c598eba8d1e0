"""Stand-in."""

from collections.abc import Mapping
from typing import Any

from app.models.explanations import Explanation, Step


class OfflineExplainer:
    """Says something."""

    name = "offline"

    async def explain(self, question: str, context: Mapping[str, Any]) -> Explanation:
        """See ``Explainer``."""
        return Explanation(steps=(Step(title="Uno", content="palabra " * 60),) * 2, total_duration=10)
