#!/usr/bin/env python3
"""strip_svg.py [FILE...] > strips.svg - draw strips of blocks, as tm_pool_dump writes them, as a picture. Reads stdin
without a FILE.

A line that holds other characters than the marks is a caption; empty lines are skipped."""
import html
import sys

COLOURS = {"#": "#3b6ea5", "=": "#86b0d8", "P": "#b5482f", "p": "#dd8e6e", ".": "#ffffff", "_": "#d9d9d9"}
NAMES = [("used", "#="), ("pinned", "Pp"), ("free", "."), ("wilderness", "_")]
CELL, LINE, MARGIN = 8, 16, 10


def runs(line):
    """(first column, length, mark) of each run of one mark."""
    start = 0
    for i in range(1, len(line) + 1):
        if i == len(line) or line[i] != line[start]:
            yield start, i - start, line[start]
            start = i


def svg(lines):
    rows, width, y = [], 40, MARGIN
    for x, (name, marks) in zip(range(MARGIN, 10000, 110), NAMES):
        for i, mark in enumerate(marks):
            rows.append(rect(x + i * CELL, y, CELL, COLOURS[mark]))
        rows.append(text(x + 2 * CELL + 4, y, name))
    for line in filter(None, (line.rstrip("\n") for line in lines)):
        y += LINE + 2
        if not set(line) <= set(COLOURS):
            rows.append(text(MARGIN, y, line))
            continue
        width = max(width, len(line))
        rows += [rect(MARGIN + x * CELL, y, n * CELL, COLOURS[mark]) for x, n, mark in runs(line)]
    size = (width * CELL + 2 * MARGIN, y + LINE + MARGIN)
    return "\n".join(['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" '
                      'font-family="sans-serif" font-size="11">' % size]
                     + rows + ["</svg>"])


def rect(x, y, w, colour):
    return f'<rect x="{x}" y="{y}" width="{w}" height="{LINE - 4}" fill="{colour}" stroke="#555" stroke-width="0.5"/>'


def text(x, y, words):
    return f'<text x="{x}" y="{y + LINE - 6}">{html.escape(words)}</text>'


if __name__ == "__main__":
    files = [open(name, encoding="utf-8") for name in sys.argv[1:]] or [sys.stdin]
    print(svg(line for f in files for line in f))
