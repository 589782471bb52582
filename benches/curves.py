"""Draws recall against queries per second as an SVG that is readable on light and on dark pages."""

import math
from html import escape
from pathlib import Path

WIDTH, HEIGHT = 420, 300  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 62, 20, 44, 40  # around its plot
LEGEND = 34
RECALLS = [0.80, 0.85, 0.90, 0.95, 0.99, 1.00]
LOWEST = RECALLS[0]

STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 } .small { font-size: 11px; fill: #59636e }
.grid { stroke: #d1d9e0; stroke-width: 1 }
.line { fill: none; stroke-width: 2 }
.s0 { stroke: #0969da; fill: #0969da } .s1 { stroke: #bc4c00; fill: #bc4c00 } .s2 { stroke: #6e7781; fill: #6e7781 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .small { fill: #9198a1 } .grid { stroke: #3d444d }
.s0 { stroke: #4493f8; fill: #4493f8 } .s1 { stroke: #f0883e; fill: #f0883e } .s2 { stroke: #9198a1; fill: #9198a1 }
}
.s0.line, .s1.line, .s2.line { fill: none }
"""


def write(file, panels):
    """`panels`: (title, subtitle, {name: [(recall, queries per second)]}), two in a row."""
    names = list(dict.fromkeys(name for _, _, series in panels for name in series))
    columns = min(2, len(panels))
    width, height = columns * WIDTH, LEGEND + math.ceil(len(panels) / columns) * HEIGHT
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"']
    parts[0] += ' role="img" aria-label="Recall at 10 against queries per second">'
    parts.append(f"<style>{STYLE}</style>")
    for number, name in enumerate(names):
        x = LEFT + number * 150
        parts.append(f'<line class="s{number} line" x1="{x}" y1="20" x2="{x + 22}" y2="20"/>')
        parts.append(f'<text x="{x + 28}" y="24">{escape(name)}</text>')
    for number, (title, subtitle, series) in enumerate(panels):
        x, y = number % columns * WIDTH, LEGEND + number // columns * HEIGHT
        parts.append(f'<g transform="translate({x} {y})">')
        parts += panel(title, subtitle, series, names)
        parts.append("</g>")
    parts.append("</svg>\n")
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    Path(file).write_text("\n".join(parts), encoding="utf-8")


def panel(title, subtitle, series, names):
    series = {name: [point for point in points if point[0] >= LOWEST] for name, points in series.items()}
    rates = [rate for points in series.values() for _, rate in points]
    if not rates:
        return
    low, high = math.log10(min(rates)) - 0.05, math.log10(max(rates)) + 0.05

    def across(recall):
        # The last few percent matter most: the distance from 1 counts by its square root.
        part = 1 - math.sqrt((1 - recall) / (1 - LOWEST))
        return round(LEFT + part * (WIDTH - LEFT - RIGHT), 1)

    def up(rate):
        return round(HEIGHT - BOTTOM - (math.log10(rate) - low) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    yield f'<text class="title" x="{LEFT}" y="18">{escape(title)}</text>'
    yield f'<text class="small" x="{LEFT}" y="34">{escape(subtitle)}; queries/s, higher is better</text>'
    for recall in RECALLS:
        x = across(recall)
        yield f'<line class="grid" x1="{x}" y1="{TOP}" x2="{x}" y2="{HEIGHT - BOTTOM}"/>'
        yield f'<text class="small" text-anchor="middle" x="{x}" y="{HEIGHT - BOTTOM + 16}">{recall:.2f}</text>'
    for rate in ticks(low, high):
        yield f'<line class="grid" x1="{LEFT}" y1="{up(rate)}" x2="{WIDTH - RIGHT}" y2="{up(rate)}"/>'
        yield f'<text class="small" text-anchor="end" x="{LEFT - 6}" y="{up(rate) + 4}">{rate:,.0f}</text>'
    yield f'<text class="small" text-anchor="middle" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}">recall@10</text>'
    for name, points in series.items():
        number = names.index(name)
        line = " ".join(f"{across(recall)},{up(rate)}" for recall, rate in points)
        yield f'<polyline class="s{number} line" points="{line}"/>'
        for recall, rate in points:
            yield f'<circle class="s{number}" cx="{across(recall)}" cy="{up(rate)}" r="2.5"/>'


def ticks(low, high):
    """1, 2 and 5 times powers of ten within the range."""
    values = [digit * 10**power for power in range(0, 8) for digit in (1, 2, 5)]
    return [value for value in values if low <= math.log10(value) <= high]
