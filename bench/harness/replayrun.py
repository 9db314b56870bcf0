"""Traces of the live memory of programs, and the costs of policies for keeping empty memory on them (need/replay).

V1  A metric is called "POLICY: MEASURE". The policies are the rows that need-replay prints; nothing else differs.
V2  Means over traces are means of ratios, so that large traces do not outweigh small ones: bytes fetched again relative
    to those of `constant 0 MiB`; mean empty bytes relative to those of `constant, all`.
V3  A policy is better than another if one of the two measures is less and the other not more. "Less" must hold
    whichever trace is left out: the memory that a program keeps when it falls asleep may depend on a millisecond, and
    has a large influence."""

import glob
import os
import subprocess
import types

from . import needrun, paths, runner, servers, stats
from .tables import markdown, number

NOTHING, ALL, CHOSEN, HELPER = "constant 0 MiB", "constant, all", "regret", ", helper"
AGAIN, EMPTY, PEAK, TO_LIVE, COST = "again", "mean empty", "peak empty", "peak to live", "cost to oracle"
LEAST_MIB = 0.25    # a trace with less of it says nothing about a share
BETTER = "**better**"
GAIN, SAME = 0.5, 0.1   # percentage points: a difference that counts as better; one that is ignored
SHOWN = (NOTHING, "constant 16 MiB", ALL, "age 1000 ms" + HELPER, "age 10000 ms" + HELPER, "no regret", CHOSEN,
         CHOSEN + HELPER, "oracle 5000 ms")


def record(program, allocator, ctx, tmp):
    """The largest trace among those of the program and its child processes."""
    prefix = os.path.join(tmp, "trace")
    if program.server:
        preload = types.SimpleNamespace(path="%s:%s" % (paths.RECORDER, allocator.path))
        with servers.Server(["env", "BENCH_TRACE=" + prefix, *servers.REDIS], preload, tmp) as server:
            needrun.redis_flush(server, ctx.work(program))
    else:
        settings = {**dict(program.env), "LD_PRELOAD": paths.RECORDER, "BENCH_TRACE": prefix}
        subprocess.run([ctx.expand(word, program, tmp) for word in program.argv], env=runner.environment(tmp, settings),
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True, timeout=runner.TIMEOUT, cwd=tmp)
    traces = glob.glob(prefix + ".*")
    if not traces:
        raise RuntimeError("the recorder has written nothing")
    return max(traces, key=os.path.getsize)


def replay(trace):
    """{"POLICY: MEASURE": value} of a trace file, or of a trace that is built into need-replay."""
    done = subprocess.run([paths.REPLAY, trace], capture_output=True, text=True, timeout=runner.TIMEOUT)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    header, *rows = (line.split("\t") for line in done.stdout.splitlines())
    return {"%s: %s" % (row[0], measure): float(value) for row in rows for measure, value in zip(header[1:], row[1:])}


def run_replay(program, allocator, ctx):
    with paths.scratch() as tmp:
        trace = record(program, allocator, ctx, tmp) if program.form == "recorded" else program.argv[1]
        return {"metrics": replay(trace), "served_by": "", "reason": ""}


class Traces:
    """The samples in the form that the tables need."""

    def __init__(self, results):
        self.results = results
        good = [s for s in results.raw["samples"] if s["suite"] == "replay" and not s["reason"]]
        self.names = list(dict.fromkeys(s["program"] for s in good))
        self.policies = list(dict.fromkeys(m.rpartition(": ")[0] for p in self.names for m in results.metrics(p)))

    def get(self, trace, policy, measure):
        return self.results.median(trace, "%s: %s" % (policy, measure), "glibc")

    def share(self, policy, measure, whole):
        """For each trace, the value in per cent of that of the policy `whole`."""
        return [100 * self.get(t, policy, measure) / self.get(t, whole, measure)
                for t in self.names if self.get(t, whole, measure) >= LEAST_MIB]

    def shares(self, policy):
        """(bytes fetched again, empty bytes)"""
        return self.share(policy, AGAIN, NOTHING), self.share(policy, EMPTY, ALL)

    def costs(self, policy):
        return [self.get(t, policy, COST) for t in self.names]


def least_gain(other, chosen):
    """The least difference by which the other mean is smaller, over all choices of a trace to leave out (V3)."""
    gains = [b - a for a, b in zip(other, chosen)]
    return min((sum(gains) - g) / (len(gains) - 1) for g in gains) if len(gains) > 1 else sum(gains)


def verdict(other, chosen):
    """Compare another policy's (fetched again, empty) with the chosen one's, trace by trace."""
    gains = [stats.mean(b) - stats.mean(a) if a else 0 for a, b in zip(other, chosen)]
    more, less = min(gains) < -SAME, max(gains) > SAME
    if not more and max(least_gain(a, b) for a, b in zip(other, chosen)) > GAIN:
        return BETTER
    if not less and max(least_gain(b, a) for a, b in zip(other, chosen)) > GAIN:
        return "worse"
    return "other" if more and less else "same"


def share_cells(shares):
    return ["%.1f" % stats.mean(each) if each else "—" for each in shares]


def policy_rows(traces):
    rows = []
    for policy in traces.policies:
        if not policy.startswith(CHOSEN + ", ") or policy == CHOSEN + HELPER:  # not with other constants
            chosen = traces.shares(CHOSEN + HELPER if policy.endswith(HELPER) else CHOSEN)
            shares, costs = traces.shares(policy), traces.costs(policy)
            peak = max(traces.get(t, policy, TO_LIVE) for t in traces.names)
            rows.append([policy, *share_cells(shares), "%.2f" % peak, "%.3f" % stats.geomean(costs),
                         "%.2f" % max(costs), "" if policy.startswith("oracle") else verdict(shares, chosen)])
    return rows


def constant_rows(traces):
    """(policies with one constant changed, policies with several changed). Of the latter only those that are better
    with or without a helper and worse in neither case, sorted by cost."""
    single, several = [], []
    for policy in (p for p in traces.policies if p.startswith(CHOSEN) and not p.endswith(HELPER)):
        shares = [traces.shares(policy + mode) for mode in ("", HELPER)]
        costs = [stats.geomean(traces.costs(policy + mode)) for mode in ("", HELPER)]
        verdicts = [verdict(s, traces.shares(CHOSEN + mode)) for s, mode in zip(shares, ("", HELPER))]
        row = [policy.partition(", ")[2] or "as chosen"]
        for s, cost, said in zip(shares, costs, verdicts):
            row += [*share_cells(s), "%.3f" % cost, said]
        if policy.count(", ") < 2:
            single.append(row)
        elif BETTER in verdicts and "worse" not in verdicts:
            several.append((sum(costs), row))
    return single, [row for _, row in sorted(several)]


def trace_rows(traces):
    def cell(trace, policy):
        return " / ".join(number(traces.get(trace, policy, m), "%.3g") for m in (AGAIN, EMPTY, PEAK))

    return [[t.removeprefix("replay-")] + [cell(t, p) for p in SHOWN] for t in traces.names]


ABOUT = """Means over %d traces. *Again*: bytes fetched again, %% of what keeping nothing fetches; *empty*: mean
bytes kept empty, %% of what keeping all keeps; *peak*: most live and empty over most live, worst trace; *cost* over
the oracle's, at 5 s of keeping for one fetch: geometric mean, and worst trace. Against `regret` (those with a
helper against that with a helper): **better** is less of one, whichever trace is left out, and no more of the
other."""


def replay_tables(results, _):
    traces = Traces(results)
    if not traces.names:
        return []
    lines = ["## Replay: policies", "", ABOUT % len(traces.names), ""]
    lines += markdown(["policy", "again", "empty", "peak", "cost", "worst cost", "against regret"], policy_rows(traces))
    lines += ["## Replay: by trace, MiB", "", "Fetched again / empty in the mean / empty at most.", ""]
    lines += markdown(["trace", *SHOWN], trace_rows(traces))
    header = ["constant", "again", "empty", "cost", "", "helper: again", "empty", "cost", ""]
    single, several = constant_rows(traces)
    lines += ["## Replay: constants of regret", "", "One constant changed, without a helper thread and with it.", ""]
    lines += markdown(header, single)
    lines += ["## Replay: several constants of regret changed", "",
              "The combinations that are better with or without a helper and worse neither way, cheapest first.", ""]
    return lines + markdown(header, several)
