"""What can be measured of a page's looks: overflow, sizes for fingers, contrast, visible focus."""

from __future__ import annotations

from typing import Any

from playwright.async_api import Page

FINGER_PX = 44
"""The least side of a touch target (WCAG 2.1, 2.5.5)."""
READABLE = 4.5
"""The least contrast of body text (WCAG 2.1, 1.4.3)."""
DISTINCT = 3.0
"""The least contrast of what shows where the focus is (WCAG 2.1, 1.4.11)."""

_CONTROLS = ", ".join((
    "button", "a.button", "summary", "nav a", ".seg a", ".link-big", "a.row",
    "input:not([type=hidden])", "select", "textarea",
))  # fmt: skip

_SMALL_TARGETS = """([controls, least]) => Array.from(document.querySelectorAll(controls))
  .filter(part => part.checkVisibility())
  .map(part => [part.outerHTML.slice(0, 90), part.getBoundingClientRect()])
  .filter(([_, box]) => box.width + 0.5 < least || box.height + 0.5 < least)
  .map(([html, box]) => `${box.width.toFixed()}x${box.height.toFixed()} ${html}`)"""

_COLOURS = """
  const parsed = text => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const over = (front, back) => [0, 1, 2].map(i => front[i] * (front[3] ?? 1) + back[i] * (1 - (front[3] ?? 1)));
  const linear = value => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const contrast = (one, other) => { const [low, high] = [light(one), light(other)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05); };
  const ground = part => over(parsed(getComputedStyle(part).backgroundColor),
    part.parentElement ? ground(part.parentElement) : parsed(getComputedStyle(document.body).backgroundColor));
  const opacity = part => part ? Number(getComputedStyle(part).opacity) * opacity(part.parentElement) : 1;
"""

_FAINT_TEXTS = f"""(least) => {{ {_COLOURS}
  const found = new Map(), walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {{
    const part = walk.currentNode.parentElement, text = walk.currentNode.data.trim();
    if (!text || !part.checkVisibility() || part.closest("script, title, .hidden, .skip")) continue;
    const style = getComputedStyle(part), back = ground(part);
    const ink = parsed(part.closest("svg") ? style.fill : style.color);
    const ratio = contrast(over([...ink.slice(0, 3), (ink[3] ?? 1) * opacity(part)], back), back);
    const name = `${{part.tagName}}.${{part.getAttribute("class") || ""}}`;
    if (ratio < least) found.set(name, `${{ratio.toFixed(2)}} ${{name}} "${{text.slice(0, 30)}}"`);
  }}
  return [...found.values()];
}}"""

_FOCUS = f"""() => {{ {_COLOURS}
  const part = document.activeElement, style = getComputedStyle(part), box = part.getBoundingClientRect();
  return {{
    name: part.id || part.textContent.trim(),
    outline: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth),
    contrast: contrast(parsed(style.outlineColor), ground(part.parentElement)),
    seen: box.width > 0 && box.top >= 0 && box.bottom <= innerHeight,
  }};
}}"""

_MIRRORED = """() => Array.from(document.querySelectorAll("time")).filter(part => {
  const at = place => { const one = document.createRange(); one.setStart(part.firstChild, place);
    one.setEnd(part.firstChild, place + 1); return one.getBoundingClientRect(); };
  const first = at(0), last = at(part.textContent.length - 1);
  return part.checkVisibility() && first.top === last.top && first.left > last.left;
}).map(part => part.parentElement.textContent.trim())"""

_GROUND = f"""() => {{ {_COLOURS} return light(parsed(getComputedStyle(document.body).backgroundColor)); }}"""


async def width(page: Page) -> int:
    """How many pixels the content needs side by side."""
    return int(await page.evaluate("() => document.scrollingElement.scrollWidth"))


async def small_targets(page: Page) -> list[str]:
    """The visible controls that are smaller than a finger, with their sizes."""
    return list(await page.evaluate(_SMALL_TARGETS, [_CONTROLS, FINGER_PX]))


async def faint_texts(page: Page) -> list[str]:
    """The visible texts, one for each tag and class, that are hard to read."""
    return list(await page.evaluate(_FAINT_TEXTS, READABLE))


async def mirrored(page: Page) -> list[str]:
    """The times that stand on the page from right to left, because of a text beside them."""
    return list(await page.evaluate(_MIRRORED))


async def ground(page: Page) -> float:
    """The luminance of the page's ground: 0 black, 1 white."""
    return float(await page.evaluate(_GROUND))


async def focus(page: Page) -> dict[str, Any]:
    """The focused element: id or text (`name`), its `outline` in px, the outline's `contrast`, whether it is `seen`."""
    return dict(await page.evaluate(_FOCUS))


def stands_out(stop: dict[str, Any]) -> bool:
    """Whether a focused element (see `focus`) is in sight within an outline that is wide and strong enough."""
    return bool(stop["seen"]) and float(stop["outline"]) >= 2 and float(stop["contrast"]) >= DISTINCT


async def unfold(page: Page) -> None:
    """Open everything that is folded, but for the menu, which lies over the page."""
    await page.evaluate("() => document.querySelectorAll('main details').forEach(part => { part.open = true; })")
