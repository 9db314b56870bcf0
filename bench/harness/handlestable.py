"""Handles: the figures that have a requirement (must) and a goal (aim), each computed from medians of the samples."""

from dataclasses import dataclass
from typing import Callable

from .allocators import HANDLES
from .tables import markdown, number, value_cell

PAIR_SIZES = (16, 64, 128, 256, 512)


@dataclass(frozen=True)
class Target:
    what: str
    value: Callable          # of get(program, metric) -> median; raises TypeError when one is missing
    must: float = None
    aim: float = None
    fmt: str = "%.2f"
    at_least: bool = False   # larger is better


def paths_case(get, name, threads=1):
    """ns an operation of one thread. The program reports times of all threads together."""
    return get("handles-paths", "%s/threads:%d" % (name, threads)) * threads


def over_plain(name, threads=1):
    return lambda get: paths_case(get, name, threads) - paths_case(get, "plain", threads)


def scaling(name):
    return lambda get: 2 * paths_case(get, name, 1) / paths_case(get, name, 2)


def of(program, metric):
    return lambda get: get(program, metric) + 0.0


def over_idle(threads, metric):
    name = "handles-mutator-%d" % threads
    return lambda get: get(name, metric) - get(name + "-idle", metric)


def lost(threads):
    name, metric = "handles-mutator-%d" % threads, "million operations a second"
    return lambda get: 100 * (1 - get(name, metric) / get(name + "-idle", metric))


def worst(values):
    return lambda get: max(v(get) for v in values)


def pair_over_raw(size):
    return lambda get: get("handles-paths", "handle_pair/%d" % size) - get("handles-paths", "raw_pair/%d" % size)


def books(size, metric):
    return of("frag-wide-" + size, "thinned, " + metric)


PAYLOAD, METADATA = "payload, ratio", "with metadata but 8 B a peak object, ratio"

TARGETS = [
    Target("pin and unpin over a plain dereference, 1 thread, ns", over_plain("pin"), 1.5, 0.8),
    Target("the same, 2 threads, ns", over_plain("pin", 2), 1.5, 0.8),
    Target("tm_deref in a scope over a plain dereference, ns", over_plain("scope"), 0.3, 0.15),
    Target("2 threads' pin throughput ÷ 1 thread's", scaling("pin"), 1.9, 1.97, at_least=True),
    Target("(control) 2 threads' plain dereferences ÷ 1 thread's", scaling("plain")),
    Target("tm_alloc and tm_free one at a time, instructions, most of 16, 48, 512 B",
           worst([of("handles-count", "alloc+free %d" % n) for n in (16, 48, 512)]), 60, 45, "%.0f"),
    Target("the same 32 at a time, 48 B", of("handles-count", "alloc+free-burst 48"), 60, 45, "%.0f"),
    Target("(control) malloc and free one at a time, 48 B", of("handles-count", "malloc+free 48"), fmt="%.0f"),
    Target("pin and unpin, instructions", of("handles-count", "pin+unpin 64"), fmt="%.0f"),
    Target("tm_alloc and tm_free over malloc and free, worst of 16 to 512 B, ns",
           worst([pair_over_raw(n) for n in PAIR_SIZES]), None, 5),
    Target("gap of a running mutator over the idle control's, p99.99, µs", over_idle(1, "gap p99.99 us"), 30, 1,
           "%.1f"),
    Target("the same, max, µs", over_idle(1, "gap max us"), 30, 1, "%.1f"),
    Target("the same with 2 mutators on 2 CPUs, p99.99, µs", over_idle(2, "gap p99.99 us"), 30, 1, "%.1f"),
    Target("tm_compact_step(5), no second thread: over 7 µs, % of steps", of("handles-steps-5", "late, %"), 0.1, 0,
           "%.3f"),
    Target("(control) the same of a loop that reads the clock", of("handles-steps-5", "control late, %"), fmt="%.3f"),
    Target("(the same steps by the thread's own processor time)",
           of("handles-steps-5", "late by the thread's own time, %"),
           fmt="%.3f"),
    Target("tm_compact_step(50), a second thread busy: over 70 µs, %", of("handles-steps-50", "late, %"), 0.1, 0,
           "%.3f"),
    Target("(control) the same of a loop that reads the clock", of("handles-steps-50", "control late, %"), fmt="%.3f"),
    Target("(the same steps by the thread's own processor time)",
           of("handles-steps-50", "late by the thread's own time, %"),
           fmt="%.3f"),
    Target("compaction's throughput ÷ memcpy's, 100 B", of("handles-throughput-100", "throughput of memcpy's"), 0.25,
           0.5,
           at_least=True),
    Target("the same, 1 KiB", of("handles-throughput-1k", "throughput of memcpy's"), 0.5, 0.75, at_least=True),
    Target("mutator throughput lost to compaction, 1 thread, %", lost(1), 8, 3, "%.1f"),
    Target("the same, 2 threads on 2 CPUs, %", lost(2), 8, 3, "%.1f"),
    Target("churn at 90 % use: bytes moved a byte allocated", of("handles-churn", "bytes moved a byte allocated"), 0.1,
           0.01,
           "%.4f"),
    Target("LRU, PSS ÷ live", of("frag-lru", "lru, ticking, ratio"), 1.14, 1.07),
    Target("drifting sizes, worst, PSS ÷ live", of("frag-drift", "drift, worst ratio"), 1.25, 1.12),
    Target("drifting sizes, the same from 256 B", of("frag-drift-256", "drift, worst ratio"), 1.25, 1.12),
    Target("one per page, peak ÷ bound", of("frag-one-per-page", "peak-over-bound, ratio"), 1.5, 1.2),
    Target("one per page, the same from 256 B", of("frag-one-per-page-256", "peak-over-bound, ratio"), 1.5, 1.2),
    Target("90 % freed, quiet, PSS ÷ live", of("frag-mixed", "thinned, ticking, ratio"), 1.20, 1.15),
    Target("refilled and thinned again, PSS ÷ live", of("frag-mixed", "thinned-again, ticking, ratio"), 1.20, 1.15),
    Target("kept after everything was freed, MiB", of("frag-mixed", "emptied, ticking, MiB"), 4, 2),
    Target("payload PSS ÷ live, 16 B to 64 KiB, 64 MiB", books("64", PAYLOAD), 1.08, 1.03, "%.3f"),
    Target("the same, 512 MiB", books("512", PAYLOAD), 1.08, 1.03, "%.3f"),
    Target("the same, 2 GiB", books("2g", PAYLOAD), 1.08, 1.03, "%.3f"),
    Target("with metadata, less 8 B an object of the peak, 64 MiB", books("64", METADATA), 1.10, 1.05, "%.3f"),
    Target("the same, 512 MiB", books("512", METADATA), 1.10, 1.05, "%.3f"),
    Target("the same, 2 GiB", books("2g", METADATA), 1.10, 1.05, "%.3f"),
]


def verdict(target, value):
    def within(bound):
        return bound is not None and (value >= bound if target.at_least else value <= bound)
    if target.must is None and target.aim is None:
        return ""
    if within(target.aim):
        return "aim met"
    if target.must is None:
        return "**aim missed**"
    return "must met" if within(target.must) else "**must missed**"


def bound_cell(target, bound):
    return "" if bound is None else ("≥ " if target.at_least else "≤ ") + "%g" % bound


def rows(results):
    def get(program, metric):
        return results.median(program, metric, HANDLES)
    for target in TARGETS:
        try:
            value = target.value(get)
        except TypeError:      # not measured in this run
            continue
        yield [target.what, number(value, target.fmt), bound_cell(target, target.must), bound_cell(target, target.aim),
               verdict(target, value)]


def handles_tables(results, _):
    """The figures with must and aim, then every median of the suite."""
    table = list(rows(results))
    lines = []
    if table:
        lines += ["## Handles: figures, musts and aims", "",
                  "From medians of this run's samples; bench/README.md says how each is "
                  "measured.", ""]
        lines += markdown(["figure", "value", "must", "aim", "verdict"], table)
    programs = list(dict.fromkeys(s["program"] for s in results.raw["samples"] if s["suite"] == "handles"))
    if programs:
        lines += ["## Handles: all that was measured", "", "Median, and spread where there are several rounds.", ""]
        lines += markdown(["program", "what", "median"],
                          [[p, metric, value_cell(results, p, metric, HANDLES, "%.4g")]
                           for p in programs for metric in results.metrics(p)])
    return lines
