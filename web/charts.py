"""Charts as SVG, drawn here: no script, no inline style, legible at 390 px, each mark with a tooltip."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

LEFT, RIGHT, TOP, BOTTOM = 30, 6, 12, 24
HALF_A_LABEL = 17
WIDEST = 44
"""A column of a week on a desk is no wider than this."""


@dataclass(frozen=True)
class Sheet:
    """The paper: a screen shows it at about its own size, so that its text stays as small as the page's small print.

    `labels` names fit side by side under the columns; `style` is a class of the style sheet.
    """

    width: int
    height: int
    labels: int
    style: str


PHONE = Sheet(380, 210, 6, "phone")
DESK = Sheet(1100, 260, 16, "wide")


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


def stacked_columns(title: str, columns: Sequence[str], series: Sequence[Series], sheet: Sheet = PHONE) -> Markup:
    """Stacked columns, the first series at the bottom; every name is escaped."""
    sums = [sum(one.values[place] for one in series) for place in range(len(columns))]
    top = top_of_scale(max(sums, default=0))
    high, wide = sheet.height - TOP - BOTTOM, (sheet.width - LEFT - RIGHT) / max(1, len(columns))
    box = f'class="chart {sheet.style}" viewBox="0 0 {sheet.width} {sheet.height}"'
    parts = [f'<svg {box} role="img" aria-label="{escape(title)}">']
    for step in range(5):
        y = TOP + high * (1 - step / 4)
        parts.append(f'<line class="axis" x1="{LEFT}" x2="{sheet.width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{top * step // 4}</text>')
    every = math.ceil(len(columns) / sheet.labels)
    for place, column in enumerate(columns):
        middle = LEFT + wide * (place + 0.5)
        pieces = [(f"{column} · {one.name}: {one.values[place]}", one.style, one.values[place]) for one in series]
        parts += _column(middle, min(wide * 0.72, WIDEST), sheet.height - BOTTOM, high / top, pieces)
        if (len(columns) - 1 - place) % every == 0:
            within = min(middle, sheet.width - HALF_A_LABEL)
            parts.append(f'<text x="{within:.1f}" y="{sheet.height - 7}" text-anchor="middle">{escape(column)}</text>')
    return Markup("".join([*parts, "</svg>"]))


def _column(middle: float, wide: float, foot: float, scale: float, pieces: Sequence[tuple[str, str, int]]) -> list[str]:
    """One column from the foot up; `pieces` are (tooltip, style, value)."""
    parts = []
    for tip, style, value in pieces:
        if value:
            tall = value * scale
            foot -= tall
            box = f'x="{middle - wide / 2:.1f}" y="{foot:.1f}" width="{wide:.1f}" height="{tall:.1f}"'
            parts.append(f'<rect class="{escape(style)}" {box} rx="1.5"><title>{escape(tip)}</title></rect>')
    return parts
