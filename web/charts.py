"""Charts as SVG, drawn here: no script, no inline style, legible at 390 px, each mark with a tooltip."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

WIDTH, HEIGHT = 380, 210
LEFT, RIGHT, TOP, BOTTOM = 30, 6, 12, 24
LABELS = 6
"""So many day labels fit side by side at 11 px on a phone."""


@dataclass(frozen=True)
class Series:
    """One colour of the stack: `style` is a class of the style sheet, `values` one for each column."""

    name: str
    style: str
    values: Sequence[int]


def top_of_scale(highest: int) -> int:
    """The least round number, of 4 equal steps, that is not below `highest`.

    >>> [top_of_scale(value) for value in (0, 3, 9, 41, 1200)]
    [4, 4, 12, 60, 1200]
    """
    step = max(1, math.ceil(highest / 4))
    size = int(10 ** (len(str(step)) - 1))
    rounds = (tenths * size for tenths in (10, 15, 20, 25, 30, 40, 50, 60, 80, 100))
    return 4 * next(tenths // 10 for tenths in rounds if tenths % 10 == 0 and tenths >= 10 * step)


def stacked_columns(title: str, columns: Sequence[str], series: Sequence[Series]) -> Markup:
    """Stacked columns, the first series at the bottom; every name is escaped."""
    sums = [sum(one.values[place] for one in series) for place in range(len(columns))]
    top = top_of_scale(max(sums, default=0))
    high, wide = HEIGHT - TOP - BOTTOM, (WIDTH - LEFT - RIGHT) / max(1, len(columns))
    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">']
    for step in range(5):
        y = TOP + high * (1 - step / 4)
        parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{top * step // 4}</text>')
    every = math.ceil(len(columns) / LABELS)
    for place, column in enumerate(columns):
        x = LEFT + wide * place
        parts += _column(x + wide * 0.14, wide * 0.72, place, column, series, high / top)
        if (len(columns) - 1 - place) % every == 0:
            middle = x + wide / 2
            parts.append(f'<text x="{middle:.1f}" y="{HEIGHT - 7}" text-anchor="middle">{escape(column)}</text>')
    return Markup("".join([*parts, "</svg>"]))


def _column(x: float, wide: float, place: int, name: str, series: Sequence[Series], scale: float) -> list[str]:
    y, parts = float(HEIGHT - BOTTOM), []
    for one in series:
        value = one.values[place]
        if value:
            tall = value * scale
            y -= tall
            tip = escape(f"{name} · {one.name}: {value}")
            box = f'x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}"'
            parts.append(f'<rect class="{escape(one.style)}" {box} rx="1.5"><title>{tip}</title></rect>')
    return parts
