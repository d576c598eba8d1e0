"""The figures as a table for a terminal."""

from collections.abc import Sequence

from app.evals.conversation import Outcome
from app.evals.evaluation import Figures, by_kind, figures

_HEAD = ("kind", "n", "success", "wrong slots", "wrong dispatches", "turns", "p50 ms", "p95 ms")


def render_table(outcomes: Sequence[Outcome]) -> str:
    """Return the table by kind with its totals line; what went wrong is listed under it."""
    total = figures("total", outcomes)
    rows = [_row(each) for each in by_kind(outcomes)]
    cells = [_HEAD, *rows, _row(total)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_HEAD))]
    lines = [_line(row, widths) for row in cells]
    rule = "-" * len(lines[0])
    lines = [lines[0], rule, *lines[1:-1], rule, lines[-1]]
    return "\n".join([*lines, *_problems(outcomes)])


def _row(each: Figures) -> tuple[str, ...]:
    return (
        each.kind,
        str(each.count),
        f"{each.success:.1%}",
        str(each.wrong_slots),
        str(each.wrong_dispatches),
        f"{each.median_turns:g}",
        f"{each.p50_ms:.1f}",
        f"{each.p95_ms:.1f}",
    )


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = row
    return "  ".join(
        [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))]
    )


def _problems(outcomes: Sequence[Outcome]) -> list[str]:
    return [
        f"{'WRONG DISPATCH' if outcome.verdict.wrong_dispatches else 'failed':<14}  {outcome.scenario.id}"
        f"{f' #{outcome.repetition + 1}' if outcome.repetition else ''}: {explain(outcome)}"
        for outcome in sorted(outcomes, key=lambda each: not each.verdict.wrong_dispatches)
        if not outcome.verdict.success
    ]


def explain(outcome: Outcome) -> str:
    """Say in one line what is wrong with a conversation."""
    verdict = outcome.verdict
    parts = list(verdict.wrong_dispatches)
    if verdict.missing:
        parts.append("no taxi was sent" if not outcome.stored else f"{verdict.missing} taxi missing")
    parts += [f"{slot.name}: expected {slot.expected}, stored {slot.stored}" for slot in verdict.wrong_slots]
    if verdict.error:
        parts.append(verdict.error)
    return "; ".join(parts)
