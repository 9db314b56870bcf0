"""The order of runs, the time left, and the file of all samples.

O1  Rounds are interleaved: in each round every program runs under each allocator in turn. The first allocator differs
    from round to round and from program to program, so that drift and other load affect all allocators alike.
O2  results.json is rewritten after every program of a round, so that an interrupted run loses no measurements.
O3  With BENCH_LOCK=FILE in the environment each run holds a lock on that file, as flock(1) takes it. Other work on the
    machine can then wait for single runs instead of the whole measurement."""

import contextlib
import dataclasses
import fcntl
import json
import os
import shutil
import sys
import time

from . import fragrun, handlesrun, inputs, kvrun, microrun, needrun, profilerun, replayrun, runner, servers

RUNNERS = {"frag": fragrun.run_frag, "micro": microrun.run_micro, "handles": handlesrun.run_handles,
           "need": needrun.run_need, "kv": kvrun.run_kv, "replay": replayrun.run_replay, "picture": fragrun.run_frag,
           "profile": profilerun.run_profile}


@contextlib.contextmanager
def undisturbed():
    """The lock of O3."""
    path = os.environ.get("BENCH_LOCK")
    if not path:
        yield
        return
    with open(path, "a", encoding="utf-8") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield
    time.sleep(0.05)  # give other processes a chance to take the lock


def rotated(items, by):
    by %= len(items)
    return items[by:] + items[:by]


def variant_of(allocator):
    return getattr(allocator, "variant", "")


def runs_under(program, allocator):
    """Whether the program runs under the allocator. Programs of the suite handles need an allocator with handles; other
    programs run under such an allocator only if they are built for it. A replay compares policies, not allocators, and
    runs once."""
    if program.suite == "replay":
        return getattr(allocator, "name", allocator) == "glibc"
    if program.only:
        return getattr(allocator, "name", allocator) == program.only
    if program.among and getattr(allocator, "name", allocator) not in program.among:
        return False
    variant = variant_of(allocator)
    return variant in program.variants if variant else program.suite != "handles"


def built_for(program, allocator):
    """The program as it is built for the allocator."""
    variant = variant_of(allocator)
    if not variant or program.suite == "handles":
        return program
    return dataclasses.replace(program, argv=(program.argv[0] + variant, *program.argv[1:]))


def plan(programs, allocators, rounds):
    """[(round, program, allocator)]; `rounds` maps a suite to its number of rounds."""
    jobs = []
    for r in range(max(rounds[p.suite] for p in programs)):
        for i, program in enumerate(programs):
            if r < rounds[program.suite]:
                jobs += [(r, built_for(program, a), a) for a in rotated(allocators, r + i)
                         if runs_under(program, a)]
    return jobs


def clock(seconds):
    return "%d:%02d" % divmod(int(seconds + 0.5), 60) if seconds < 3600 else "%.1f h" % (seconds / 3600)


class Progress:
    """One line per run on stderr. The time left is estimated from completed runs, else from the registry."""

    def __init__(self, jobs, quick):
        self.jobs, self.out = jobs, sys.stderr
        self.factor = 0.12 if quick else 1.0
        self.seen = {}

    def cost(self, program):
        times = self.seen.get(program.name)
        return sum(times) / len(times) if times else program.seconds * self.factor + 0.1

    def done(self, i, seconds, text):
        r, program, allocator = self.jobs[i]
        self.seen.setdefault(program.name, []).append(seconds)
        left = sum(self.cost(p) for _, p, _ in self.jobs[i + 1:])
        print("bench: [%d/%d] round %d  %-18s %-15s %-32s %s left" % (
            i + 1, len(self.jobs), r + 1, program.name, allocator.name, text, clock(left)), file=self.out, flush=True)


def describe(sample):
    m = sample["metrics"]
    if sample["reason"]:
        return "VOID: " + sample["reason"]
    if "rss" in m:
        return "%.3f s  cpu %.3f s  %.1f MiB" % (m["time"], m["cpu"], m["rss"])
    return ", ".join("%s %.2f" % item for item in list(m.items())[:1])


def run_one(program, allocator, ctx):
    run = RUNNERS.get(program.suite) or (servers.run_served if program.server else runner.run_batch)
    try:
        return run(program, allocator, ctx)
    except Exception as error:  # a bug or an unexpected machine: the run is void, and the report gives the reason
        return {"metrics": {}, "served_by": "", "reason": "%s: %s" % (type(error).__name__, error)}


def judge_outputs(samples):
    """R3: void samples whose output differs from that of the program's first valid run under glibc."""
    wanted = {}
    for s in samples:
        if s["allocator"] == "glibc" and not s["reason"] and s.get("output"):
            wanted.setdefault(s["program"], s["output"])
    for s in samples:
        if not s["reason"] and s.get("output") and s["output"] != wanted.get(s["program"], s["output"]):
            s["reason"] = "output differs from that under glibc"


def missing_needs(program):
    return [need for need in program.needs if not shutil.which(need)]


def save(result, directory):
    path = os.path.join(directory, "results.json")
    with open(path + ".new", "w", encoding="utf-8") as f:
        json.dump(result, f, indent=1)
    os.replace(path + ".new", path)
    return path


def execute(result, programs, allocators, rounds, ctx, directory):
    """Run all programs and append to result["samples"]. Programs that cannot run are added to result["missing"]."""
    usable = []
    for program in programs:
        needs = missing_needs(program)
        if not any(runs_under(program, a) for a in allocators):
            needs = ["the allocator tinymem-handles"]
        if needs:
            result["missing"].append({"program": program.name, "reason": "needs " + ", ".join(needs)})
        else:
            usable.append(program)
    present = [a for a in allocators if a.path]
    if not usable:
        return
    inputs.prepare(usable, ctx)
    jobs = plan(usable, present, rounds)
    progress = Progress(jobs, ctx.quick)
    for i, (r, program, allocator) in enumerate(jobs):
        with undisturbed():
            start = time.monotonic()
            sample = run_one(program, allocator, ctx)
            seconds = time.monotonic() - start
        sample.update(suite=program.suite, program=program.name, kind=program.kind, allocator=allocator.name,
                      round=r, order=i, started=round(time.time(), 3))
        result["samples"].append(sample)
        judge_outputs(result["samples"])
        progress.done(i, seconds, describe(sample))
        if i + 1 == len(jobs) or jobs[i + 1][1].name != program.name:
            save(result, directory)
