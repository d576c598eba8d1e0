"""The evaluation as one page: every conversation readable, failures first. All that was said is shown as text."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from app.evals.conversation import Outcome, Turn
from app.evals.evaluation import GOAL, Figures, by_kind, figures
from app.evals.table import explain

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2430; --soft: #5c6676; --paper: #fbfbf9; --card: #fff; --line: #d9dce2;
  --good: #12753f; --bad: #b3261e; --rider: #e8f0fe; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #9aa4b4; --paper: #14171c; --card: #1c2027;
  --line: #333a45; --good: #6bd39a; --bad: #ff8a80; --rider: #22324d; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
tfoot td { font-weight: 600; }
.good { color: var(--good); } .bad { color: var(--bad); } .soft { color: var(--soft); }
details.talk { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; margin: .5rem 0; }
details.talk > summary { padding: .5rem .8rem; cursor: pointer; }
details.talk > div { padding: 0 .8rem .8rem; }
.said { background: var(--rider); border-radius: .6rem; padding: .35rem .7rem; margin: .5rem 0 .2rem 15%; }
.answer { padding: .35rem .7rem; margin: .2rem 15% .2rem 0; border: 1px solid var(--line); border-radius: .6rem; }
.said, .answer, code { overflow-wrap: anywhere; white-space: pre-wrap; }
.step { color: var(--soft); font-size: .85em; margin-left: .7rem; }
"""


def render_report(outcomes: Sequence[Outcome], title: str) -> str:
    """Return the report as HTML that needs no other file.

    Args:
        outcomes: The conversations.
        title: What was evaluated.
    """
    total = figures("total", outcomes)
    ordered = sorted(outcomes, key=lambda each: (not each.verdict.wrong_dispatches, each.verdict.success))
    rows = "".join(_row(each) for each in by_kind(outcomes))
    talks = "".join(_talk(each) for each in ordered)
    verdict = "Goal reached" if total.is_good else "Goal missed"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f'<p class="{_good(total.is_good)}"><strong>{verdict}</strong>: {total.success:.1%} booked exactly right '
        f"(goal {GOAL:.0%}), {total.wrong_dispatches} wrong dispatches (goal 0).</p>"
        '<div class="wide"><table><thead><tr><th>Kind</th><th>n</th><th>Success</th><th>Wrong slots</th>'
        "<th>Wrong dispatches</th><th>Turns</th><th>p50 ms</th><th>p95 ms</th></tr></thead>"
        f"<tbody>{rows}</tbody><tfoot>{_row(total)}</tfoot></table></div>"
        f"<h2>Conversations</h2>{talks}</body></html>\n"
    )


def _row(each: Figures) -> str:
    return (
        f"<tr><td>{escape(each.kind)}</td><td>{each.count}</td>"
        f'<td class="{_good(each.success >= GOAL)}">{each.success:.1%}</td><td>{each.wrong_slots}</td>'
        f'<td class="{_good(not each.wrong_dispatches)}">{each.wrong_dispatches}</td>'
        f"<td>{each.median_turns:g}</td><td>{each.p50_ms:.1f}</td><td>{each.p95_ms:.1f}</td></tr>"
    )


def _talk(outcome: Outcome) -> str:
    good = outcome.verdict.success
    number = f" #{outcome.repetition + 1}" if outcome.repetition else ""
    about = f' <span class="soft">{escape(outcome.scenario.about)}</span>' if outcome.scenario.about else ""
    problem = "" if good else f'<p class="bad">{escape(explain(outcome))}</p>'
    expected = [each.model_dump(exclude_defaults=True) for each in outcome.scenario.expect]
    stored = [_without_empty(each) for each in outcome.stored]
    return (
        f'<details class="talk"{"" if good else " open"}><summary><span class="{_good(good)}">'
        f"{'✓' if good else '✗'}</span> {escape(outcome.scenario.id)}{number} "
        f'<span class="soft">{escape(outcome.scenario.kind)}, {len(outcome.turns)} turns</span>{about}</summary><div>'
        f"{problem}{''.join(_turn(turn) for turn in outcome.turns)}"
        f'<p class="soft">Expected <code>{_json(expected)}</code><br>Stored <code>{_json(stored)}</code><br>'
        f"Thread <code>{escape(outcome.thread_id)}</code></p></div></details>"
    )


def _turn(turn: Turn) -> str:
    consent = ' <span class="soft">(consents)</span>' if turn.said.consents else ""
    status = "" if turn.status == "completed" else f' <span class="bad">({escape(turn.status or "no end")})</span>'
    steps = "".join(f'<div class="step">{_step(step)}</div>' for step in turn.steps)
    return (
        f'<div class="said">{escape(turn.said.text)}{consent}</div>{steps}'
        f'<div class="answer">{escape(turn.answer)}{status} <span class="soft">{turn.milliseconds:.0f} ms</span></div>'
    )


def _step(step: Mapping[str, Any]) -> str:
    if "call" in step:
        return f"→ <strong>{escape(str(step['call']))}</strong> <code>{_json(step['args'])}</code>"
    return f"← <code>{_json(step['value'])}</code>"


def _without_empty(booking: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in booking.items() if value not in (None, [])}


def _json(value: Any) -> str:
    return escape(json.dumps(value, ensure_ascii=False))


def _good(is_good: bool) -> str:
    return "good" if is_good else "bad"
