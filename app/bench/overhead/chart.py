"""The chart of a run, as SVG that reads in light and dark. Pure."""

from collections.abc import Sequence
from html import escape
from typing import Any

from app.bench.overhead.model import IDEAL_MS, PACE_MS
from app.bench.overhead.report import median, names

Result = dict[str, Any]
Bar = tuple[str, float | str]
"""Who, and the figure, or why there is none."""

_WIDTH, _LABEL, _BAR, _GAP = 860, 190, 20, 8
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2933 }
.title { font-weight: 600; font-size: 15px }
.small { font-size: 11px; fill: #616e7c }
.bar { fill: #9fb3c8 } .ours { fill: #0f7b5f }
@media (prefers-color-scheme: dark) {
  text { fill: #e4e7eb } .small { fill: #9aa5b1 } .bar { fill: #52667a } .ours { fill: #2fbf95 }
}
"""


def draw(panels: Sequence[tuple[str, str, Sequence[Bar]]], foot: str) -> str:
    """Return bars.

    Args:
        panels: Title, unit, and who has which figure, or why none: less is better.
        foot: What it was measured on.
    """
    parts: list[str] = []
    y = 10
    for title, unit, bars in panels:
        y += 22
        parts.append(f'<text class="title" x="0" y="{y}">{escape(title)}</text>')
        y += 10
        most = max((value for _, value in bars if not isinstance(value, str)), default=1.0) or 1.0
        room = _WIDTH - _LABEL - 110
        for name, value in bars:
            middle = y + _BAR * 0.72
            parts.append(f'<text x="{_LABEL - 10}" y="{middle:.0f}" text-anchor="end">{escape(name)}</text>')
            if isinstance(value, str):
                parts.append(f'<text class="small" x="{_LABEL}" y="{middle:.0f}">{escape(value)}</text>')
            else:
                length = max(2.0, room * value / most)
                kind = "bar ours" if name.startswith("voztaxi") else "bar"
                shown = f"{value:,.0f}" if value >= 100 else f"{value:,.1f}"
                parts += [
                    f'<rect class="{kind}" x="{_LABEL}" y="{y}" width="{length:.0f}" height="{_BAR}" rx="3"/>',
                    f'<text x="{_LABEL + length + 8:.0f}" y="{middle:.0f}">{shown} {escape(unit)}</text>',
                ]
            y += _BAR + _GAP
        y += 14
    y += 10
    parts.append(f'<text class="small" x="0" y="{y}">{escape(foot)}</text>')
    height = y + 14
    title = escape(", ".join(panel[0] for panel in panels))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
        f' role="img" aria-label="{title}"><style>{_STYLE}</style>{"".join(parts)}</svg>\n'
    )


def panels_of(result: Result) -> list[tuple[str, str, list[Bar]]]:
    """Return what is drawn of a run."""
    wanted = (
        ("burst", "processor_us_a_token", "CPU for each token, in bursts", "µs", None),
        ("first", "first_token_p50_ms", "First token, one client", "ms", None),
        ("paced", "whole_p50_ms", f"A turn at {PACE_MS} ms a token, 300 clients (ideal {IDEAL_MS:,})", "ms", 300),
        ("memory", "active_kib", "Memory of an active connection", "KiB", None),
    )
    panels: list[tuple[str, str, list[Bar]]] = []
    for part, key, title, unit, level in wanted:
        rows = [row for row in result.get(part, ()) if level is None or row["connections"] == level]
        bars: list[Bar] = []
        for name in names(rows):
            value = median(rows, name, key)
            bars.append((name, _why(rows, name) if value is None else value))
        if any(not isinstance(value, str) for _, value in bars):
            panels.append((title, unit, bars))
    return panels


def _why(rows: Sequence[Result], contender: str) -> str:
    """Return why somebody has no figure."""
    return next((row["skipped"] for row in rows if row["contender"] == contender and "skipped" in row), "failed")
