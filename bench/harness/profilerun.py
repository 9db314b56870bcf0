"""The cost of profiles and guards: programs without an option, and with each option that samples or guards blocks.

L1  The runs of a round follow each other directly; the first one is without an option.
L2  Instructions are the difference of two counts by callgrind: of twice the quick amount of work, and of the quick
    amount. So work that a process does once, such as opening libunwind, is not included."""

import dataclasses

from . import handlesrun, runner, tables

OPTIONS = ("profile:on", "guard:5000", "leaks:on")
OFF = "off"
COUNTED = {"profile-lua": 4, "profile-alloc-test": 1}  # amounts of work under callgrind, which is slow; the others: 1
_counts = {}


def with_options(program, options):
    return dataclasses.replace(program, env=(*program.env, ("TINYMEM", "" if options == OFF else options)))


def counted(program, allocator, ctx, options):
    """Instructions, or a sample with the reason why they could not be counted."""
    counts = []
    for n in (program.quick, 2 * program.quick):
        argv = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *program.argv)
        of = dataclasses.replace(with_options(program, options), n=n, output="discard")
        sample = handlesrun.run_once(of, argv, allocator, dataclasses.replace(ctx, quick=False),
                                     handlesrun.read_collected)
        if sample["reason"]:
            raise RuntimeError("%s, under callgrind: %s" % (options, sample["reason"]))
        counts.append(sample["metrics"]["instructions"])
    return counts[1] - counts[0]


def run_profile(program, allocator, ctx):
    """A sample: seconds without an option, and the other runs' ratios to them."""
    samples = {o: runner.run_batch(with_options(program, o), allocator, ctx) for o in (OFF, *OPTIONS)}
    for options, sample in samples.items():
        if sample["reason"]:
            return dict(sample, reason="%s: %s" % (options, sample["reason"]))
    if len({s.get("output") for s in samples.values()}) > 1:
        return dict(samples[OFF], reason="the output is another with an option")
    seconds = {o: s["metrics"]["cpu"] for o, s in samples.items()}
    if program.name not in _counts:
        _counts[program.name] = {o: counted(program, allocator, ctx, o) for o in samples}
    instructions = _counts[program.name]
    metrics = {"off, s": seconds[OFF]}
    for o in OPTIONS:
        metrics[o + ", time"] = seconds[o] / seconds[OFF] if seconds[OFF] > 0 else 1.0
        metrics[o + ", instructions"] = instructions[o] / instructions[OFF]
    return dict(samples[OFF], metrics=metrics)


def profile_tables(results, _):
    programs = list(dict.fromkeys(s["program"] for s in results.raw["samples"] if s["suite"] == "profile"))
    if not programs:
        return []
    metrics = ["off, s"] + ["%s, %s" % (o, what) for o in OPTIONS for what in ("time", "instructions")]
    rows = [[p] + [tables.value_cell(results, p, m, "tinymem", "%.3f") for m in metrics] for p in programs]
    return ["## Profiles and guards", "",
            "tinymem without an option, and the ratio with each: user and system time (median, and spread where "
            "there are several rounds), and instructions by callgrind.", ""] + tables.markdown(
        ["program", *metrics], rows)
