"""Makes report.md from results.json. Every number in the report is computed from the samples, here and nowhere else.

    python3 -m harness.report results.json      prints the report again"""

import json
import sys

from . import tables
from .handlestable import handles_tables
from .kvtable import kv_tables
from .picture import picture_tables
from .profilerun import profile_tables
from .replayrun import replay_tables
from .tables import Results, geomean_cell, loss_mark, markdown, ratio_cell, value_cell

PROGRAM_METRICS = (("time", "Time", "s", "%.3f"), ("cpu", "User + system time", "s", "%.3f"),
                   ("rss", "Peak RSS", "MiB", "%.1f"))
BIG_MIB = 20


def header(result):
    m = result["machine"]
    lines = ["# Allocator benchmarks", "",
             "`%s`, %s. %s, %d CPUs (%s), %d MiB, kernel %s, THP %s, load before %.2f." % (
                 result["command"], result["date"], m["system"], m["cpus"], m["cpu"], m["memory_mib"], m["kernel"],
                 m["thp"], m["load_before"]), ""]
    if result["tuning"]:
        lines += ["Environment: " + ", ".join("`%s=%s`" % kv for kv in result["tuning"].items()), ""]
    if result.get("interrupted"):
        lines += ["**Interrupted**: what had been measured until then.", ""]
    if result["mode"] == "quick":
        lines += ["**Quick mode**: little work, one round; good for smoke tests, not for claims.", ""]
    rows = [[a["name"], a["library"] or "—", a["version"] or "—", a["note"]] for a in result["allocators"]]
    return lines + markdown(["allocator", "library", "version", "note"], rows)


def trouble(result):
    lines = ["## What is not in the figures", ""]
    lines += ["- allocator **%s**: %s" % (a["name"], a["note"]) for a in result["allocators"] if not a["library"]]
    lines += ["- program **%s**: %s" % (p["program"], p["reason"]) for p in result["missing"]]
    void = [s for s in result["samples"] if s["reason"]]
    lines += ["- void: **%s** under **%s**, round %d: %s" % (
        s["program"], s["allocator"], s["round"] + 1, s["reason"]) for s in void]
    return lines + ([] if len(lines) > 2 else ["Nothing: every run of every allocator counted."]) + [""]


def programs_of(result, suite, kind=None):
    seen = dict.fromkeys(s["program"] for s in result["samples"]
                         if s["suite"] == suite and (kind is None or s["kind"] == kind))
    return list(seen)


def names_in(results, names, suite):
    """Allocators with runs in the suite, and missing ones. Allocators that only run other programs have no column."""
    ran = {s["allocator"] for s in results.raw["samples"] if s["suite"] == suite}
    variants = {a["name"] for a in results.raw["allocators"] if a.get("variant")}
    return [n for n in names if n in ran or n not in variants]


def summary_rows(results, names):
    groups = [("all", programs_of(results.raw, "programs")), ("real", programs_of(results.raw, "programs", "real")),
              ("synthetic", programs_of(results.raw, "programs", "synthetic"))]
    big = [p for p in groups[0][1] if (results.median(p, "rss", "glibc") or 0) > BIG_MIB]
    rows = []
    for metric, title, _, _ in PROGRAM_METRICS:
        for label, programs in groups + ([("over %d MiB on glibc" % BIG_MIB, big)] if metric == "rss" else []):
            if programs:
                rows.append(["%s, %s (%d)" % (title, label, len(programs))] +
                            [geomean_cell(results, programs, metric, a) for a in names])
    for metric, title, _, _ in PROGRAM_METRICS:
        rows.append(["worst single program: " + title] + [worst_cell(results, groups[0][1], metric, a) for a in names])
    return rows


def worst_cell(results, programs, metric, allocator):
    ratios = [(results.to_glibc(p, metric, allocator), p) for p in programs]
    ratios = [r for r in ratios if r[0] is not None]
    return "%.2f %s" % max(ratios) if ratios else "—"


def verdicts(results, programs, names):
    """Losses and wins of more than 2 %, worded alike, against glibc and against the best peer."""
    rows = []
    for a in names:
        for metric, title in (("time", "time"), ("rss", "peak RSS")):
            for against, get in (("glibc", results.to_glibc), ("best peer", results.to_best_peer)):
                ratios = sorted((r, p) for p in programs if (r := get(p, metric, a)) is not None)
                if a == "glibc" and against == "glibc" or not ratios:
                    continue
                rows.append([a, title, against, str(sum(r > 1.02 for r, _ in ratios)),
                             str(sum(r < 0.98 for r, _ in ratios)),
                             ", ".join("%s %.2f" % (p, r) for r, p in reversed(ratios) if r > 1.02) or "none",
                             ", ".join("%s %.2f" % (p, r) for r, p in ratios if r < 0.98) or "none"])
    return rows


def program_tables(results, names):
    programs = programs_of(results.raw, "programs")
    if not programs:
        return []
    lines = ["## Programs: geometric means of ratios to glibc", "", "Lower is better; glibc is 1.", ""]
    lines += markdown(["", *names], summary_rows(results, names))
    for metric, title, unit, fmt in PROGRAM_METRICS:
        lines += ["## Programs: %s, %s" % (title.lower(), unit), "", "Median, and (largest − smallest) ÷ median.", ""]
        lines += markdown(["program", *names],
                          [[p] + [value_cell(results, p, metric, a, fmt) for a in names] for p in programs])
        lines += ["## Programs: %s, ratio to glibc" % title.lower(), "", "**Bold**: more than 5 % worse than glibc.",
                  ""]
        lines += markdown(["program", *names], [[p] + [loss_mark(results.to_glibc(p, metric, a)) for a in names]
                                                for p in programs])
        lines += ["## Programs: %s, ratio to the best peer" % title.lower(), "",
                  "To the best of the others, glibc and tinymem not counted. **Bold**: more than 5 % worse.", ""]
        lines += markdown(["program", *names], [[p] + [loss_mark(results.to_best_peer(p, metric, a)) for a in names]
                                                for p in programs])
    lines += ["## Programs: losses and wins by more than 2 %", ""]
    return lines + markdown(["allocator", "figure", "against", "losses", "wins", "where it loses", "where it wins"],
                            verdicts(results, programs, [a for a in names if a != "slow"]))


def startup_tables(results, names):
    programs = programs_of(results.raw, "startup")
    if not programs:
        return []
    lines = ["## Start-up", "", "Mean of many processes, median over rounds.", ""]
    rows = []
    for p in programs:
        rows.append([p + ", ms"] + [tables.number(results.median(p, "time", a), "%.3f", 1e3) for a in names])
        rows.append([p + ", time to glibc"] + [ratio_cell(results.to_glibc(p, "time", a)) for a in names])
        rows.append([p + ", peak RSS MiB"] + [tables.number(results.median(p, "rss", a), "%.2f") for a in names])
        rows.append([p + ", MiB over glibc"] + [tables.number(tables.difference(results, p, "rss", a), "%+.2f")
                                                for a in names])
    return lines + markdown(["", *names], rows)


def frag_tables(results, names):
    programs = programs_of(results.raw, "frag")
    if not programs:
        return []
    raw = results.raw
    lines = ["## Fragmentation", "", "*ratio*: PSS ÷ live bytes, 1.00 is perfect. *asleep*: after %g s without a call; "
             "*ticking*: after %g s of one small malloc and free a millisecond. MiB: what stays after everything was "
             "freed. Median, and spread where there are several rounds." % (raw["sleep_seconds"], raw["tick_seconds"]),
             ""]
    rows = [["%s: %s" % (p, metric)] + [value_cell(results, p, metric, a, "%.2f") for a in names]
            for p in programs for metric in results.metrics(p)]
    return lines + markdown(["workload", *names], rows)


def need_tables(results, names):
    programs = programs_of(results.raw, "need")
    if not programs:
        return []
    lines = ["## Memory by need", "",
             "Median, and spread where there are several rounds. *Resident* is anonymous memory, less what "
             "was there at the start.", ""]
    rows = [["%s: %s" % (p, metric)] + [value_cell(results, p, metric, a, "%.4g") for a in names]
            for p in programs for metric in results.metrics(p)]
    return lines + markdown(["program", *names], rows)


def micro_tables(results, names):
    programs = programs_of(results.raw, "micro")
    if not programs:
        return []
    cases = [(p, metric) for p in programs for metric in results.metrics(p)]
    groups = {}
    for p, metric in cases:
        groups.setdefault(metric.split("/")[0], []).append((p, metric))
    rows = [["all (%d)" % len(cases)] + [tables.geomean_of(results, cases, a) for a in names]]
    rows += [["%s (%d)" % (g, len(c))] + [tables.geomean_of(results, c, a) for a in names] for g, c in groups.items()]
    lines = ["## Micro benchmarks: geometric means of ratios to glibc", ""] + markdown(["group", *names], rows)
    lines += ["## Micro benchmarks: ns per operation", "", "Median, and spread.", ""]
    lines += markdown(["case", *names], [[m] + [value_cell(results, p, m, a, "%.1f") for a in names] for p, m in cases])
    lines += ["## Micro benchmarks: ratio to glibc", "", "**Bold**: more than 5 % slower than glibc.", ""]
    return lines + markdown(["case", *names], [[m] + [loss_mark(results.to_glibc(p, m, a)) for a in names]
                                               for p, m in cases])


def render(result):
    """The whole report as Markdown."""
    results = Results(result)
    names = [a["name"] for a in result["allocators"]]
    lines = header(result) + trouble(result)
    for suite, part in (("programs", program_tables), ("startup", startup_tables), ("frag", frag_tables),
                        ("need", need_tables), ("replay", replay_tables), ("micro", micro_tables),
                        ("handles", handles_tables), ("kv", kv_tables), ("profile", profile_tables),
                        ("picture", picture_tables)):
        lines += part(results, names_in(results, names, suite))
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as given:
        print(render(json.load(given)))
