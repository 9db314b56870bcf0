"""Programs that use handles: the figures of one run, from Google Benchmark, callgrind or lines "NAME = VALUE".

They run only under an allocator that has handles, and contain their own controls."""

import dataclasses
import json
import os
import re

from . import microrun, paths, runner, stats

REPETITIONS = 5
COUNTED = (("pin+unpin", "64"), ("deref", "64"), ("alloc+free", "16"), ("alloc+free", "48"), ("alloc+free", "512"),
           ("alloc+free-burst", "48"), ("malloc+free", "48"))
FEW, MANY = 10016, 30016       # numbers of repetitions; their difference is measured. Multiples of a burst


def run_once(program, argv, allocator, ctx, read):
    """A sample; `read` gets the paths of stdout and stderr and returns the metrics."""
    with paths.scratch() as tmp:
        run = runner.launch(dataclasses.replace(program, argv=tuple(argv)), allocator, ctx, tmp)
        records, out, err, probe = run
        if not records:
            return {"metrics": {}, "served_by": "", "reason": "could not be started"}
        served, wrong = runner.judge_server(runner.read_probe(probe), allocator, records[-1]["pid"])
        reason = runner.exit_reason(records[-1], err) or wrong
        return {"metrics": {} if reason else read(out, err), "served_by": served, "reason": reason}


def read_figures(out, _):
    with open(out, encoding="utf-8") as f:
        pairs = [line.rpartition(" = ") for line in f if " = " in line]
    return {name: float(value) for name, _, value in pairs}


def read_repetitions(out, _):
    """For each case the median over its repetitions of the wall time, in ns an operation of all threads together."""
    with open(out, encoding="utf-8") as f:
        cases = json.load(f)["benchmarks"]
    times = {}
    for c in cases:
        if c["run_type"] == "iteration":
            times.setdefault(microrun.case_name(c), []).append(microrun.nanoseconds(c))
    return {name: stats.median(times[name]) for name in sorted(times)}  # a run executes them in random order


def read_collected(_, err):
    with open(err, encoding="utf-8", errors="replace") as f:
        return {"instructions": float(re.search(r"Collected : (\d+)", f.read()).group(1))}


def run_benchmark(program, allocator, ctx):
    argv = program.argv + ("--benchmark_format=json", "--benchmark_min_time=%g" % ctx.micro_seconds,
                           "--benchmark_repetitions=%d" % (1 if ctx.quick else REPETITIONS),
                           "--benchmark_enable_random_interleaving=true")
    return run_once(program, argv, allocator, ctx, read_repetitions)


def run_counted(program, allocator, ctx):
    """Instructions of one operation: (count of MANY - count of FEW) / (MANY - FEW), less the same for an empty loop."""
    def per_round(case, size):
        counts = []
        for n in (FEW, MANY):
            argv = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *program.argv, case, str(n), size)
            counts.append(run_once(program, argv, allocator, ctx, read_collected))
            if counts[-1]["reason"]:
                raise RuntimeError(counts[-1]["reason"])
        few, many = (c["metrics"]["instructions"] for c in counts)
        return (many - few) / (MANY - FEW), counts[-1]

    empty, sample = per_round("empty", "0")
    loop = {"alloc+free-burst": per_round("empty-burst", "0")[0]}
    sample["metrics"] = {"%s %s" % (case, size): per_round(case, size)[0] - loop.get(case, empty) for case,
                         size in COUNTED}
    return sample


def run_figures(program, allocator, ctx):
    return run_once(program, program.argv, allocator, ctx, read_figures)


def run_handles(program, allocator, ctx):
    if not os.path.exists(ctx.expand(program.argv[0], program, "")):
        return {"metrics": {}, "served_by": "", "reason": "not built: needs the library, and libbenchmark-dev"}
    if program.form == "benchmark":
        return run_benchmark(program, allocator, ctx)
    if program.form == "callgrind":
        return run_counted(program, allocator, ctx)
    return run_figures(program, allocator, ctx)
