"""Draws times as bars, a group for each query, as an SVG that is readable on light and on dark pages. The axis is logarithmic."""

import math
from html import escape
from pathlib import Path

import curves

BAR, GAP = 7, 8  # widths
LEFT, RIGHT, TOP, BOTTOM, HEIGHT = 62, 16, 44, 26, 260
LEGEND = 110  # of one name

STYLE = (
    curves.STYLE
    + """
.s3 { stroke: #8250df; fill: #8250df }
.bar { stroke: none }
@media (prefers-color-scheme: dark) { .s3 { stroke: #a371f7; fill: #a371f7 } }
"""
)


def write(file, title, names, groups):
    """`groups`: (label, milliseconds of each name or None)."""
    times = [time for _, row in groups for time in row if time]
    if not times:
        return
    low, high = math.floor(math.log10(min(times))), math.log10(max(times)) + 0.05
    group = BAR * len(names) + GAP
    width = LEFT + group * len(groups) + RIGHT

    def up(time):
        return round(HEIGHT - BOTTOM - (math.log10(time) - low) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}"']
    parts[0] += f' role="img" aria-label="{escape(title)}">'
    parts.append(f"<style>{STYLE}</style>")
    parts.append(f'<text class="title" x="{LEFT}" y="16">{escape(title)}</text>')
    for number, name in enumerate(names):
        x = LEFT + number * LEGEND
        parts.append(f'<rect class="s{number} bar" x="{x}" y="25" width="10" height="10"/>')
        parts.append(f'<text class="small" x="{x + 15}" y="34">{escape(name)}</text>')
    for tick in curves.ticks(low, high):
        parts.append(f'<line class="grid" x1="{LEFT}" y1="{up(tick)}" x2="{width - RIGHT}" y2="{up(tick)}"/>')
        if str(tick)[0] == "1":
            label = f'<text class="small" text-anchor="end" x="{LEFT - 6}" y="{up(tick) + 4}">'
            parts.append(label + (f"{tick:,} ms" if tick < 1000 else f"{tick // 1000:,} s") + "</text>")
    for at, (label, row) in enumerate(groups):
        x = LEFT + at * group + GAP / 2
        for number, time in enumerate(row):
            if time:
                y = min(up(time), HEIGHT - BOTTOM - 1)
                place = f'x="{x + number * BAR}" y="{y}" width="{BAR - 1}" height="{round(HEIGHT - BOTTOM - y, 1)}"'
                parts.append(f'<rect class="s{number} bar" {place}/>')
        middle = x + BAR * len(names) / 2
        parts.append(f'<text class="small" text-anchor="middle" x="{middle}" y="{HEIGHT - 8}">{escape(label)}</text>')
    parts.append("</svg>\n")
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    Path(file).write_text("\n".join(parts), encoding="utf-8")
