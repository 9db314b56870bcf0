"""programs.py ROOT [--table] [--only NAME,...] - real programs with and without the library.

Each program runs three times: without the library, with it, and with it counting its calls. The three outputs must be
equal. --table prints the last results as Markdown.
"""
import argparse
import concurrent.futures
import json
import os
import sys

sys.dont_write_bytecode = True

from harness import perform  # noqa: E402
from workloads import PROGRAMS  # noqa: E402

MODES = ("plain", "preload", "counted")
MANY = 100_000   # allocations that a program makes at least, unless its row says why not
LEAST = 1.0      # seconds a run takes at least without tinymem


def first_difference(a, b):
    for n, (x, y) in enumerate(zip(a.splitlines() + [""], b.splitlines() + [""])):
        if x != y:
            return f"line {n + 1}: {x[:200]!r} without, {y[:200]!r} with"
    return "one is longer than the other"


def judge(program, outcomes):
    """What is wrong with a program's three runs."""
    wrong = [f"{mode}: {o.error}" for mode, o in outcomes.items() if o.error]
    if wrong:
        return wrong
    plain = outcomes["plain"]
    if not plain.output:
        wrong.append("there is nothing to compare")
    for mode in MODES[1:]:
        if outcomes[mode].output != plain.output:
            wrong.append(f"{mode}: another output, " + first_difference(plain.output, outcomes[mode].output))
    allocs = outcomes["counted"].allocs
    if allocs == 0 or (allocs < MANY and not program.few):
        wrong.append(f"only {allocs} allocations were served")
    if plain.seconds < LEAST:
        wrong.append(f"the run is too short: {plain.seconds:.2f} s")
    return wrong


def run_all(chosen, library):
    """Yields (program, outcomes) in the order of the list."""
    executor = concurrent.futures.ProcessPoolExecutor
    with executor(os.cpu_count()) as workers, executor(3) as sleepers:
        futures = [{m: (sleepers if p.sleeps else workers).submit(perform, p, m, library) for m in MODES}
                   for p in chosen]
        for p, runs in zip(chosen, futures):
            yield p, {m: f.result() for m, f in runs.items()}


def report(program, outcomes, wrong):
    """One result, and its row for the table."""
    counted = outcomes["counted"]
    print(f"{'not ok' if wrong else 'ok'} - {program.name}: "
          f"{counted.allocs:,} allocations in {counted.processes} processes, "
          + ", ".join(f"{m} {o.seconds:.1f} s" for m, o in outcomes.items()))
    for line in "\n".join(wrong).splitlines():
        print("#   " + line)
    sys.stdout.flush()
    result = "FAILS" if wrong else "same output" + (f"; {program.few}" if counted.allocs < MANY else "")
    return {"program": program.name, "version": program.version(), "ran": program.what, "allocs": counted.allocs,
            "processes": counted.processes, "result": result}


def rounded(n):
    """Two or three digits: the others differ between runs."""
    for unit, name in ((10**9, " G"), (10**6, " M"), (10**3, " k")):
        if n >= unit:
            return f"{n / unit:.1f}{name}" if n < 10 * unit else f"{n // unit}{name}"
    return str(n)


def print_table(path):
    if not os.path.exists(path):
        sys.exit("there are no results yet: tests/run --only programs makes them")
    with open(path, encoding="utf-8") as f:
        rows = json.load(f)
    print("| program | version | what ran | allocations served | result |\n|---|---|---|---:|---|")
    for r in rows:
        print(f"| {r['program']} | {r['version']} | {r['ran']} | {rounded(r['allocs'])} | {r['result']} |")


def control(library):
    """The comparison must notice a program that behaves differently under the library."""
    from harness import Program
    probe = Program("probe", "bash", "", lambda run: run.command("/bin/sh", "-c", "sleep 1; echo ${LD_PRELOAD:-none}"),
                    [], few="none")
    wrong = judge(probe, {m: perform(probe, m, library) for m in MODES})
    seen = any("another output" in w for w in wrong)
    print(f"{'ok' if seen else 'not ok'} - control: a different output is noticed")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[2])
    parser.add_argument("root")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--library", default="", help="preload this instead")
    args = parser.parse_args()
    results = os.path.join(args.root, "build", "tests", "programs.json")
    if args.table:
        print_table(results)
        return
    library = os.path.abspath(args.library or os.path.join(args.root, "build", "release", "libtinymem.so"))
    only = [n for n in args.only.split(",") if n]
    chosen = [p for p in PROGRAMS if not only or p.name in only]
    runnable = [p for p in chosen if not p.missing()]
    for p in chosen:
        if p not in runnable:
            print(f"ok - {p.name} # SKIP not here: {' '.join(p.missing())}")
    rows = [report(p, o, judge(p, o)) for p, o in run_all(runnable, library)]
    control(library)
    if not only:
        os.makedirs(os.path.dirname(results), exist_ok=True)
        with open(results, "w", encoding="utf-8") as f:
            json.dump(rows, f, indent=1)


main()
