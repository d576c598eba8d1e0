"""Whether a turn has become dearer: ratios of one run against those that were stored. Pure."""

from collections.abc import Mapping
from typing import Any

from app.bench.overhead.report import ratio, wrong_turns

_PART, _FIGURE, _FLOOR = "burst", "processor_us_a_token", "proxy"
"""A machine that is slow or busy is so to a bare proxy as well, in the same round."""


def ratios(result: Mapping[str, Any], names: Mapping[str, float]) -> dict[str, float | None]:
    """Return how many times the processor time of a bare proxy each of these takes for a token."""
    rows = result.get(_PART, ())
    return {name: ratio(rows, name, _FIGURE, _FLOOR) for name in names}


def exceeded(result: Mapping[str, Any], baseline: Mapping[str, Any]) -> list[str]:
    """Return what takes more than the baseline allows, and whose turns were wrong, a line each.

    Args:
        result: Of a run with the part ``burst``.
        baseline: ``ratios``, who takes how many times what the proxy takes, and ``margin``, what that may grow by.
    """
    margin = baseline["margin"]
    problems = wrong_turns(result)
    for name, found in ratios(result, baseline["ratios"]).items():
        most = baseline["ratios"][name] * margin
        if found is None:
            problems.append(f"{name} was not measured beside {_FLOOR}")
        elif found > most:
            problems.append(
                f"{name} takes {found:.2f} times the processor time of a bare proxy; {most:.2f} is the most"
            )
    return problems
