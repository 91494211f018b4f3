"""Horizontal bars as SVG, readable in a light and in a dark page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_ROW = 26
_LEFT = 210
_WIDTH = 760


def bars(title: str, unit: str, rows: Sequence[tuple[str, float]], ours: str) -> str:
    """One chart: rows as (name, value), longest bar first; `ours` is highlighted."""
    rows = sorted(rows, key=lambda row: -row[1])
    most = max((value for _, value in rows), default=1) or 1
    room = _WIDTH - _LEFT - 110
    height = 48 + _ROW * len(rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">',
        "<style>text{font:13px system-ui,sans-serif;fill:#24292f}"
        ".t{font-weight:600}.b{fill:#9aa7b4}.o{fill:#1f883d}"
        "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.b{fill:#6e7b88}}</style>",
        f'<text class="t" x="8" y="22">{escape(title)} ({escape(unit)})</text>',
    ]
    for index, (name, value) in enumerate(rows):
        y = 40 + index * _ROW
        length = max(2.0, room * value / most)
        parts.append(
            f'<text x="{_LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(name)}</text>'
            f'<rect class="{"o" if name == ours else "b"}" x="{_LEFT}" y="{y}" '
            f'width="{length:.1f}" height="18" rx="3"/>'
            f'<text x="{_LEFT + length + 6:.1f}" y="{y + 14}">{format_figure(value)}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def format_figure(value: float) -> str:
    """A figure with the digits that mean something: 70,300 or 8.42."""
    if value >= 1000:
        return f"{round(value, -2):,.0f}" if value >= 10_000 else f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}"
