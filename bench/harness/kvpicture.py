"""The picture of the suite kv: resident memory of the servers while sizes shift, as SVG, drawn by gnuplot.

    python3 -m harness.kvpicture results.json > kv.svg      draws it again"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

from .kvtable import MALLOC, OURS, REDIS, title

# Colours that are visible on white and on black. Black elements take the colour of the surrounding text.
DRAWN = ((REDIS, "#d9534f"), (MALLOC, "#e08e0b"), (OURS, "#2f8fd8"))
DATA = "#5cb85c"
STYLE = "<style>svg{color:#24292f}@media(prefers-color-scheme:dark){svg{color:#d0d7de}}</style>"
SCRIPT = """set terminal svg size 960,480 dynamic enhanced font "sans-serif,13" butt
set title "Resident memory of cache servers under the same load" noenhanced
set xlabel "progress of the load, %: values of 32 B to 2 KiB and back to 256 B; keys that expire; FLUSHALL; refill"
set ylabel "MiB"
set yrange [0:*]
set xrange [0:100]
set key outside bottom center horizontal noenhanced
set border 3
set tics nomirror
set style fill transparent solid 0.25 noborder
"""


def curves(result):
    """[((program, allocator), colour, points)] of the first good run of each server in DRAWN."""
    found = {}
    for s in result["samples"]:
        if s["suite"] == "kv" and not s["reason"] and s.get("points"):
            found.setdefault((s["program"], s["allocator"]), s["points"])
    return [(server, colour, found[server]) for server, colour in DRAWN if server in found]


def script(drawn, directory):
    """The script for gnuplot. x is progress in per cent of a curve's own points: all servers have the same load, and so
    the same number of points."""
    plots = []
    for i, (server, colour, points) in enumerate(drawn):
        path = os.path.join(directory, "%d" % i)
        with open(path, "w", encoding="ascii") as f:
            f.writelines("%.3f %.3f %.3f\n" % (100 * k / max(len(points) - 1, 1), data, resident)
                         for k, (_, data, resident) in enumerate(points))
        if i == 0:
            plots.append('"%s" using 1:2 with filledcurves y1=0 lc rgb "%s" title "data"' % (path, DATA))
        plots.append('"%s" using 1:3 with lines lw %s lc rgb "%s" title "%s"' % (
            path, "2.5" if server == OURS else "1.7", colour, title(*server)))
    return SCRIPT + "plot " + ", ".join(plots) + "\n"


def draw(result):
    """SVG, or None if there are no points or gnuplot is missing."""
    drawn = curves(result)
    if not drawn or not shutil.which("gnuplot"):
        return None
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(["gnuplot"], input=script(drawn, directory), capture_output=True, text=True, timeout=60)
    if done.returncode:
        print("bench: gnuplot: " + done.stderr.strip()[-300:], file=sys.stderr)
        return None
    svg = re.sub(r"rgb\( *(\d+), *(\d+), *(\d+) *\)", lambda m: "#%02x%02x%02x" % tuple(map(int, m.groups())),
                 done.stdout)
    svg = re.sub(r"\b(black|white)\b|#000000|#ffffff", "currentColor", svg)
    return re.sub(r"(<svg[^>]*>)", lambda m: m.group(1) + STYLE, svg, count=1)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as given:
        sys.stdout.write(draw(json.load(given)) or "")
