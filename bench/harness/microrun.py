"""Google Benchmark programs: one run measures nanoseconds of real time per operation for each of its cases."""

import dataclasses
import json
import os

from . import paths, runner


def case_name(case):
    return case["name"].replace("/real_time", "")


def nanoseconds(case):
    return case["real_time"] * {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}[case["time_unit"]]


def run_micro(program, allocator, ctx):
    """A sample with one metric for each case."""
    argv = program.argv + ("--benchmark_format=json", "--benchmark_min_time=%g" % ctx.micro_seconds)
    with paths.scratch() as tmp:
        if not os.path.exists(ctx.expand(program.argv[0], program, tmp)):
            return {"metrics": {}, "served_by": "", "reason": "not built: libbenchmark-dev is missing"}
        run = runner.launch(dataclasses.replace(program, argv=argv), allocator, ctx, tmp)
        return read_sample(run, allocator)


def read_sample(run, allocator):
    records, out, err, probe = run
    if not records:
        return {"metrics": {}, "served_by": "", "reason": "could not be started"}
    served, wrong = runner.judge_server(runner.read_probe(probe), allocator, records[-1]["pid"])
    reason = runner.exit_reason(records[-1], err) or wrong
    metrics = {}
    if not reason:
        with open(out, encoding="utf-8") as f:
            cases = json.load(f)["benchmarks"]
        metrics = {case_name(c): nanoseconds(c) for c in cases}
    return {"metrics": metrics, "served_by": served, "reason": reason}
