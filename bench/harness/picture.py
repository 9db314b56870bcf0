"""The pictures: PSS of each allocator and live bytes while a program runs, as SVG, and their tables.

    python3 -m harness.picture results.json > picture.svg      draws the first one again

P1  A curve has every sample of the first good run of its allocator, and nothing else.
P2  A picture has its own background, and colours for light and dark mode. Text and curves have a contrast of at least
    4.5 in both."""

import json
import sys
from dataclasses import dataclass

from . import stats
from .tables import markdown, number

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 960, 460, 60, 70, 200, 56

# name: (on light, on dark, dashes, width)
BACKGROUND, INK, FAINT = ("#ffffff", "#0d1117"), ("#1f2328", "#e6edf3"), ("#d0d7de", "#3d444d")
LIVE_FILL, LIVE = ("#d2f4da", "#12361f"), ("#1a7f37", "#3fb950")
CURVES = {
    "glibc": ("#57606a", "#9aa4af", "", 1.6),
    "jemalloc": ("#cf222e", "#ff7b72", "7 3", 1.6),
    "mimalloc": ("#bc4c00", "#ffa657", "2 3", 1.8),
    "tcmalloc": ("#7d4e2d", "#d2a679", "9 3 2 3", 1.6),
    "tbbmalloc": ("#6f6a00", "#d3c94a", "4 2", 1.6),
    "tinymem": ("#8250df", "#c297ff", "", 2.2),
    "tinymem-handles": ("#0969da", "#58a6ff", "", 3.0),
}
RESIDENT, LIVE_BYTES = "resident, MiB", "live, MiB"
OTHER = ("#116b74", "#56d4dd", "3 2", 1.6)


@dataclass(frozen=True)
class Scene:
    program: str
    file: str
    heading: str
    title: str
    axis: str
    by_time: bool      # x is time; otherwise progress, one step a point


SCENES = (
    Scene("tides", "picture.svg", "Picture: much memory, then little",
          "Resident memory of one program under %s allocators", "seconds", True),
    Scene("shift", "shift.svg", "Picture: sizes that shift",
          "Resident memory and live bytes while the sizes of a program's objects shift",
          "progress of the program in %; the same work for each allocator", False),
)


def curves(result, program="tides"):
    """[(allocator, points)] of the first good run of each. A point is (live MiB, PSS MiB), possibly followed by seconds
    and phase."""
    found = {}
    for s in result["samples"]:
        if s["suite"] == "picture" and s["program"] == program and not s["reason"]:
            found.setdefault(s["allocator"], s["points"])
    return [(a["name"], found[a["name"]]) for a in result["allocators"] if a["name"] in found]


def phases(points):
    """[(name, first point, last point)]"""
    spans = []
    for i, point in enumerate(points):
        name = point[3] if len(point) > 3 else ""
        if spans and spans[-1][0] == name:
            spans[-1][2] = i
        else:
            spans.append([name, i, i])
    return [tuple(s) for s in spans]


def round_up(value):
    step = 10.0 ** len(str(int(value))) / 20
    return step * (int(value / step) + 1)


def text(x, y, words, anchor="middle", css="ink", extra=""):
    return '<text x="%.1f" y="%.1f" text-anchor="%s" class="%s"%s>%s</text>' % (
        x, y, anchor, css, extra and " " + extra, words)


def line(x1, y1, x2, y2, css="faint"):
    return '<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>' % (x1, y1, x2, y2, css)


def css_name(name):
    return "c-" + "".join(c if c.isalnum() else "-" for c in name)


def rules(names, shade):
    """The colours for light (0) or dark (1) as style rules."""
    out = [".paper{fill:%s}" % BACKGROUND[shade], ".ink{fill:%s}" % INK[shade], ".faint{stroke:%s}" % FAINT[shade],
           ".live{fill:%s;stroke:%s}" % (LIVE_FILL[shade], LIVE[shade]), ".live-label{fill:%s}" % LIVE[shade]]
    for name in names:
        colour = CURVES.get(name, OTHER)[shade]
        out.append(".%s{stroke:%s} .%s-label{fill:%s}" % (css_name(name), colour, css_name(name), colour))
    return "".join(out)


def style(names):
    fixed = "".join(".%s{fill:none;stroke-width:%s;stroke-dasharray:%s;stroke-linejoin:round}" % (
        css_name(n), CURVES.get(n, OTHER)[3], CURVES.get(n, OTHER)[2] or "none") for n in names)
    return "<style>text{font:13px sans-serif} .title{font-size:16px} .small{font-size:11px}%s%s" \
           "@media (prefers-color-scheme:dark){%s}</style>" % (fixed, rules(names, 0), rules(names, 1))


class Frame:
    """Converts values to coordinates in the picture."""

    def __init__(self, drawn, scene):
        self.scene = scene
        self.n = min(len(points) for _, points in drawn)
        self.timed = scene.by_time and all(len(p) > 2 for _, points in drawn for p in points)
        self.most = round_up(max(max(p[0], p[1]) for _, points in drawn for p in points))
        self.span = max(points[self.n - 1][2] for _, points in drawn) if self.timed else max(self.n - 1, 1)

    def x(self, points, i):
        return LEFT + (WIDTH - LEFT - RIGHT) * (points[i][2] if self.timed else i) / self.span

    def y(self, mib):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * mib / self.most

    def path(self, points, which):
        return " ".join("%.1f,%.1f" % (self.x(points, i), self.y(p[which])) for i, p in enumerate(points[:self.n]))

    def axes(self):
        bottom, right = self.y(0), WIDTH - RIGHT
        lines = []
        for i in range(6):
            y = self.y(self.most * i / 5)
            lines += [line(LEFT, y, right, y), text(LEFT - 8, y + 4, "%g" % (self.most * i / 5), "end")]
        whole = self.span if self.timed else 100
        step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200) if whole / s <= 12)
        for tick in range(0, int(whole) + 1, step):
            lines.append(text(LEFT + (right - LEFT) * tick / whole, bottom + 20, "%d" % tick))
        middle = (TOP + bottom) / 2
        return lines + [text(18, middle, "MiB", extra='transform="rotate(-90 18 %.1f)"' % middle),
                        text((LEFT + right) / 2, bottom + 42, self.scene.axis)]

    def phase_marks(self, points):
        lines, spans = [], phases(points[:self.n])
        for name, first, last in spans if len(spans) > 1 else ():
            start, end = self.x(points, max(first - 1, 0)) if first else LEFT, self.x(points, last)
            if not name:
                continue
            lines.append(line(start, TOP - 22, start, self.y(0)))
            for i, word in enumerate(name.split("-")):
                lines.append(text((start + end) / 2, TOP - 18 + 13 * i, word, css="ink small"))
        return lines


def counted(n):
    return ("no", "one", "two", "three", "four", "five", "six", "seven")[n] if n < 8 else str(n)


def labels_apart(ends, lowest):
    """y coordinates of the labels, at least 17 apart and at most `lowest`, in the order of the curves' ends."""
    heights, last = [], TOP - 17
    for y, name in sorted(ends):
        last = max(y, last + 17)
        heights.append([last, name])
    below = lowest
    for item in reversed(heights):
        item[0] = min(item[0], below)
        below = item[0] - 17
    return {name: y for y, name in heights}


def draw(result, program="tides"):
    """SVG, or None when there is nothing to draw."""
    drawn = curves(result, program)
    if not drawn:
        return None
    scene = next(s for s in SCENES if s.program == program)
    title = scene.title % counted(len(drawn)) if "%s" in scene.title else scene.title
    frame, names = Frame(drawn, scene), [name for name, _ in drawn]
    lines = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">' % (
                 WIDTH, HEIGHT, WIDTH, HEIGHT),
             "<title>%s</title>" % title, style(names),
             '<rect width="%d" height="%d" rx="6" class="paper"/>' % (WIDTH, HEIGHT),
             text(LEFT, 24, title, "start", "ink title")]
    lines += frame.axes() + frame.phase_marks(drawn[0][1])
    points, bottom = drawn[0][1], frame.y(0)
    lines.append('<polygon points="%.1f,%.1f %s %.1f,%.1f" class="live"/>' % (
        LEFT, bottom, frame.path(points, 0), frame.x(points, frame.n - 1), bottom))
    ends = [(frame.y(points[frame.n - 1][0]), "live bytes")]
    for name, own in drawn:
        ends.append((frame.y(own[frame.n - 1][1]), name))
        lines.append('<polyline points="%s" class="%s"/>' % (frame.path(own, 1), css_name(name)))
    for name, y in labels_apart(ends, bottom).items():
        own = dict(drawn).get(name)
        words = name if own is None else "%s, %.0f MiB" % (name, own[frame.n - 1][1])
        kind = "live" if own is None else css_name(name)
        lines.append(text(WIDTH - RIGHT + 10, y + 4, words, "start", kind + "-label"))
    return "\n".join(lines + ["</svg>"]) + "\n"


def files(result):
    """{file name: SVG} of all pictures for which the result has points."""
    drawn = {s.file: draw(result, s.program) for s in SCENES}
    return {name: svg for name, svg in drawn.items() if svg}


def picture_tables(results, names):
    lines = []
    for scene in SCENES:
        metrics = results.metrics(scene.program)
        names_here = [n for n in names if n in dict(curves(results.raw, scene.program))]
        if not metrics or not names_here:
            continue
        lines += ["## " + scene.heading, "", "![PSS and live bytes over the run](%s)" % scene.file, ""]
        lines += (level_table if scene.by_time else ratio_table)(results, scene.program, metrics, names_here)
    return lines


def cells(results, program, metric, names):
    return [number(results.median(program, metric, a), "%.2f") for a in names]


def ratio_table(results, program, metrics, names):
    return ["PSS ÷ live bytes over the points of the picture.", ""] + markdown(
        ["", *names], [[m] + cells(results, program, m, names) for m in metrics])


def level_table(results, program, metrics, names):
    rows = []
    for metric in metrics:
        moment, _, what = metric.partition(": ")
        if what == RESIDENT:
            live = next(c for c in cells(results, program, moment + ": " + LIVE_BYTES, names) if c != "—")
            rows.append([moment, live] + cells(results, program, metric, names))
    return ["MiB at the end of each phase of the picture: live bytes, and PSS under each allocator.", ""] + markdown(
        ["", "live", *names], rows)


def ratios(points):
    """The table's row for one run of shift."""
    each = [p[1] / p[0] for p in points if p[0]]
    return {"mean": stats.mean(each), "worst": max(each), "last": each[-1]} if each else {}


def levels(points):
    """The table's row for one run with phases."""
    metrics = {}
    for name, _, last in phases(points):
        metrics["%s: %s" % (name, RESIDENT)] = points[last][1]
        metrics["%s: %s" % (name, LIVE_BYTES)] = points[last][0]
    metrics["mean of the run: " + RESIDENT] = stats.mean([p[1] for p in points])
    metrics["mean of the run: " + LIVE_BYTES] = stats.mean([p[0] for p in points])
    return metrics


def figures(points):
    return levels(points) if len(phases(points)) > 1 else ratios(points)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as given:
        sys.stdout.write(draw(json.load(given)) or "")
