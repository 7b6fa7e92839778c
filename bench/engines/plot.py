# SPDX-License-Identifier: Apache-2.0
"""The ratios of a table as an SVG bar chart, by hand: no library draws it.

The axis is logarithmic, so that twice as fast and half as fast are equally far from 1.  Where less is
better (latencies, amplification, memory) the ratio is turned over: to the right is always better.
"""
import math
from xml.sax.saxutils import escape

LABEL, CHART, VALUE, LINE, TOP, BOTTOM = 240, 460, 170, 24, 88, 58  # widths and heights, pixels
LOW, HIGH = 0.25, 8.0                                                # ends of the axis
# Colours by name: (light, dark).  Written out twice, since not every viewer knows CSS variables.
COLOURS = {
    ".back { fill: %s; }": ("#ffffff", "#14171f"), "text { fill: %s; }": ("#1f2430", "#e6e9f0"),
    "text.quiet { fill: %s; }": ("#667085", "#98a1b3"), ".ok { fill: %s; }": ("#2f7d4f", "#58b07c"),
    ".below { fill: %s; }": ("#c2552d", "#e58a5f"), ".grid { stroke: %s; }": ("#d5d9e2", "#353b49"),
    ".one { stroke: %s; }": ("#667085", "#98a1b3"),
    ".mark { stroke: %s; stroke-width: 2.5; }": ("#1f2430", "#f4f6fa"),
}


def style():
    light, dark = ("\n      ".join(rule % colours[side] for rule, colours in COLOURS.items())
                   for side in (0, 1))
    return (f"      text {{ font: 13px system-ui, sans-serif; }}\n      {light}\n"
            f"    @media (prefers-color-scheme: dark) {{\n      {dark}\n    }}")


def place(ratio):
    """Pixels from the left for a ratio, kept on the axis."""
    share = math.log(min(max(ratio, LOW), HIGH) / LOW) / math.log(HIGH / LOW)
    return LABEL + share * CHART


def text(x, y, words, anchor="start", kind=""):
    kind = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}>{escape(words)}</text>'


def rule(x, top, bottom, kind):
    return f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}"/>'


def axis(bottom):
    ratio = LOW
    while ratio <= HIGH:
        yield rule(place(ratio), TOP - 8, bottom, "one" if ratio == 1 else "grid")
        yield text(place(ratio), TOP - 14, f"{ratio:g}", "middle", "quiet")
        ratio *= 2


def bar(y, line):
    row, middle = line.row, y + LINE / 2
    yield text(LABEL - 12, middle + 4.5, row.name, "end")
    reach = place(1 / row.reach if row.less else row.reach)
    if line.ratio:
        shown = 1 / line.ratio if row.less else line.ratio
        begin, end = sorted((place(1), place(shown)))
        kind = "ok" if line.verdict == "ok" else "below"
        yield (f'<rect class="{kind}" x="{begin:.1f}" y="{y + 5:.1f}" '
               f'width="{max(end - begin, 1):.1f}" height="{LINE - 10}" rx="2"/>')
        beyond = " \u2192" if shown > HIGH else " \u2190" if shown < LOW else ""
        words = f"{shown:.2f}{beyond}" + ("" if line.verdict == "ok" else f" {line.verdict}")
        yield text(LABEL + CHART + 14, middle + 4.5, words)
    else:
        yield text(LABEL + CHART + 14, middle + 4.5, line.verdict, kind="quiet")
    yield rule(reach, y + 2, y + LINE - 2, "mark")


def draw(lines, title, subtitle):
    """The SVG document of report.Line objects."""
    width, bottom = LABEL + CHART + VALUE, TOP + LINE * len(lines)
    parts = [text(16, 26, title), text(16, 46, subtitle, kind="quiet"), *axis(bottom)]
    for i, line in enumerate(lines):
        parts += bar(TOP + i * LINE, line)
    legend = bottom + 30
    parts += [rule(24, legend - 11, legend + 5, "mark"), text(34, legend, "to be reached"),
              text(140, legend, "right is better; latencies, amplification and memory are turned "
                   "over; logarithmic", kind="quiet")]
    body = "\n  ".join(parts)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {bottom + BOTTOM}" '
            f'width="{width}" height="{bottom + BOTTOM}" role="img">\n  <title>{escape(title)}'
            f'</title>\n  <style>\n{style()}\n  </style>\n  <rect class="back" width="100%" '
            f'height="100%"/>\n  {body}\n</svg>\n')
