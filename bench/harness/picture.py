"""The picture: PSS of each allocator and live bytes while a program's sizes shift, as SVG, and its table.

    python3 -m harness.picture results.json > picture.svg      draws it anew"""

import json
import sys

from . import stats
from .tables import markdown, value_cell

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 960, 480, 64, 48, 150, 56
COLOURS = {"glibc": "#7f7f7f", "jemalloc": "#d62728", "mimalloc": "#ff7f0e", "tcmalloc": "#8c564b",
           "tbbmalloc": "#bcbd22",
           "tinymem": "#9467bd", "tinymem-handles": "#1f77b4"}
OTHER = "#17becf"


def curves(result):
    """[(allocator, [(live MiB, PSS MiB)])] of the first good run of each."""
    found = {}
    for s in result["samples"]:
        if s["suite"] == "picture" and not s["reason"]:
            found.setdefault(s["allocator"], s["points"])
    return [(a["name"], found[a["name"]]) for a in result["allocators"] if a["name"] in found]


def round_up(value):
    step = 10.0 ** len(str(int(value))) / 20
    return step * (int(value / step) + 1)


def text(x, y, words, anchor="middle", extra=""):
    return '<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>' % (x, y, anchor, extra, words)


def axes(top, x_of, y_of, n):
    bottom, right = y_of(0), x_of(n - 1)
    lines = []
    for i in range(6):
        mib = top * i / 5
        y = y_of(mib)
        lines.append('<line x1="%d" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#ddd"/>' % (LEFT, y, right, y))
        lines.append(text(LEFT - 8, y + 4, "%g" % mib, "end"))
    for i in range(11):
        lines.append(text(x_of((n - 1) * i / 10), bottom + 20, "%d %%" % (i * 10)))
    middle = (TOP + bottom) / 2
    lines.append(text(18, middle, "MiB", extra='transform="rotate(-90 18 %.1f)"' % middle))
    lines.append(text((LEFT + right) / 2, bottom + 42, "progress of the program; the same work for each allocator"))
    return lines


def labels_apart(ends):
    """Heights of the labels, at least 16 apart, in the order of the curves' ends."""
    placed, last = {}, TOP - 16
    for y, name in sorted(ends):
        last = max(y, last + 16)
        placed[name] = last
    return placed


def draw(result):
    """SVG, or None when there is nothing to draw."""
    drawn = curves(result)
    if not drawn:
        return None
    n = min(len(points) for _, points in drawn)
    top = round_up(max(pss for _, points in drawn for _, pss in points))

    def x_of(i):
        return LEFT + (WIDTH - LEFT - RIGHT) * i / max(n - 1, 1)

    def y_of(mib):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * mib / top

    def path(values):
        return " ".join("%.1f,%.1f" % (x_of(i), y_of(v)) for i, v in enumerate(values[:n]))

    live = [point[0] for point in drawn[0][1]]
    lines = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">'
             % (WIDTH, HEIGHT),
             '<rect width="%d" height="%d" fill="white"/>' % (WIDTH, HEIGHT),
             text(WIDTH / 2, 24, "Resident memory (PSS) and live bytes while the sizes of a program's objects shift",
                  extra='font-size="15"')]
    lines += axes(top, x_of, y_of, n)
    lines.append('<polygon points="%.1f,%.1f %s %.1f,%.1f" fill="#cfe8cf" stroke="#2ca02c"/>' % (
        x_of(0), y_of(0), path(live), x_of(n - 1), y_of(0)))
    ends = [(y_of(live[n - 1] / 2), "live bytes")]
    for name, points in drawn:
        pss = [point[1] for point in points]
        ends.append((y_of(pss[n - 1]), name))
        lines.append('<polyline points="%s" fill="none" stroke="%s" stroke-width="%s"/>' % (
            path(pss), COLOURS.get(name, OTHER), "2.5" if "handles" in name else "1.5"))
    for name, y in labels_apart(ends).items():
        lines.append(text(x_of(n - 1) + 8, y + 4, name, "start",
                          'fill="%s"' % ("#2ca02c" if name == "live bytes" else COLOURS.get(name, OTHER))))
    return "\n".join(lines + ["</svg>"]) + "\n"


def picture_tables(results, names):
    programs = list(dict.fromkeys(s["program"] for s in results.raw["samples"] if s["suite"] == "picture"))
    if not programs:
        return []
    rows = [[metric] + [value_cell(results, p, metric, a, "%.2f") for a in names] for p in programs
            for metric in results.metrics(p)]
    return ["## Picture: sizes that shift", "", "![PSS and live bytes over the run](picture.svg)", "",
            "PSS ÷ live bytes over the points of the picture.", ""] + markdown(["", *names], rows)


def ratios(points):
    """What the table says of one run's points."""
    each = [pss / live for live, pss in points if live]
    return {"mean": stats.mean(each), "worst": max(each), "last": each[-1]} if each else {}


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as given:
        sys.stdout.write(draw(json.load(given)) or "")
