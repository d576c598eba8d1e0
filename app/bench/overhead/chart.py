"""The chart of a run, as SVG that reads in light and dark. Pure."""

from collections.abc import Sequence
from html import escape
from typing import Any

from app.bench.overhead.report import median, names

Result = dict[str, Any]

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


def draw(panels: Sequence[tuple[str, str, Sequence[tuple[str, float]]]], foot: str) -> str:
    """Return bars.

    Args:
        panels: Title, unit, and who has which figure: less is better.
        foot: What it was measured on.
    """
    parts: list[str] = []
    y = 10
    for title, unit, bars in panels:
        y += 22
        parts.append(f'<text class="title" x="0" y="{y}">{escape(title)}</text>')
        y += 10
        most = max((value for _, value in bars), default=1.0) or 1.0
        room = _WIDTH - _LABEL - 110
        for name, value in bars:
            length = max(2.0, room * value / most)
            kind = "bar ours" if name.startswith("voztaxi") else "bar"
            middle = y + _BAR * 0.72
            shown = f"{value:,.0f}" if value >= 100 else f"{value:,.1f}"
            parts += [
                f'<text x="{_LABEL - 10}" y="{middle:.0f}" text-anchor="end">{escape(name)}</text>',
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


def panels_of(result: Result) -> list[tuple[str, str, list[tuple[str, float]]]]:
    """Return what is drawn of a run."""
    wanted = (
        ("burst", "processor_us_a_token", "CPU for each token, in bursts", "µs", None),
        ("first", "first_token_p50_ms", "First token, one client", "ms", None),
        ("paced", "whole_p50_ms", "A turn at 20 ms a token, 300 clients (ideal 1,260)", "ms", 300),
        ("memory", "active_kib", "Memory of an active connection", "KiB", None),
    )
    panels = []
    for part, key, title, unit, level in wanted:
        rows = [row for row in result.get(part, ()) if level is None or row["connections"] == level]
        bars = [(name, value) for name in names(rows) if (value := median(rows, name, key)) is not None]
        if bars:
            panels.append((title, unit, bars))
    return panels
