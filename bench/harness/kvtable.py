"""The suite kv: its figures with must and aim, and all servers side by side."""

import shutil

from .allocators import HANDLES
from .handlestable import Target, bound_cell, verdict
from .tables import markdown, number

OURS, STILL = ("kv-cache", HANDLES), ("kv-still", HANDLES)
REDIS, MALLOC = ("kv-redis", "glibc"), ("kv-cache", "tinymem")
END_RATIO, RATE, KEY, TAIL = "shift: resident ÷ data, end", "requests a second", "bytes a key", "shift: p99.9, us"


def of(server, metric):
    return lambda get: get(server, metric) + 0.0


def over(metric, ours, theirs):
    return lambda get: get(ours, metric) / get(theirs, metric)


TARGETS = [
    Target("kv/handles: resident ÷ data at the end of the shifting load", of(OURS, END_RATIO), 1.25, 1.12),
    Target("the same ÷ redis-server's", over(END_RATIO, OURS, REDIS), 0.75, 0.60),
    Target("requests a second: kv/handles ÷ kv/malloc on tinymem", over(RATE, OURS, MALLOC), 0.95, 1.0, at_least=True),
    Target("requests a second: kv/handles ÷ redis-server", over(RATE, OURS, REDIS), 1.0, 1.3, at_least=True),
    Target("p99.9: mover on ÷ off", over(TAIL, OURS, STILL), 1.1, 1.0),
    Target("kv/handles: MiB over empty, 3 s after FLUSHALL", of(OURS, "flush: MiB over empty after 3 s"), 8, 3, "%.1f"),
    Target("bytes a key, 16 B with values of 32 B: kv/handles ÷ redis-server", over(KEY, OURS, REDIS), 0.8, 0.6),
    Target("processor time a request: kv/handles ÷ redis-server",
           over("processor time a request, us", OURS, REDIS)),
]


def title(program, allocator):
    if program == "kv-cache":
        return "kv/handles" if allocator == HANDLES else "kv/malloc on " + allocator
    return {"kv-still": "kv/handles, compaction:off", "kv-redis": "redis-server"}.get(program, program)


def columns(results):
    """(program, allocator) of every server, other projects' first."""
    seen = dict.fromkeys((s["program"], s["allocator"]) for s in results.raw["samples"] if s["suite"] == "kv")
    return sorted(seen, key=lambda c: (c[0] in ("kv-cache", "kv-still"), c[0] == "kv-still", c[1] == HANDLES))


def rows(results):
    def get(server, metric):
        return results.median(server[0], metric, server[1])
    for target in TARGETS:
        try:
            value = target.value(get)
        except TypeError:      # not measured in this run
            continue
        yield [target.what, number(value, target.fmt), bound_cell(target, target.must), bound_cell(target, target.aim),
               verdict(target, value)]


def kv_tables(results, _):
    servers = columns(results)
    if not servers:
        return []
    lines = []
    table = list(rows(results))
    if table:
        lines += ["## Cache server: figures, musts and aims", ""]
        lines += markdown(["figure", "value", "must", "aim", "verdict"], table)
    if any(s.get("points") for s in results.raw["samples"] if s["suite"] == "kv") and shutil.which("gnuplot"):
        lines += ["![Resident memory of cache servers under the same load](kv.svg)", ""]
    metrics = list(dict.fromkeys(m for program, _ in servers for m in results.metrics(program)))
    lines += ["## Cache server: all that was measured", "", "Medians. The same client and the same requests for each; "
              "bench/kvload says what the scenes are.", ""]
    return lines + markdown(["figure", *(title(*s) for s in servers)],
                            [[m] + [number(results.median(s[0], m, s[1]), "%.4g") for s in servers] for m in metrics])
