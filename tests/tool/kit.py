"""kit.py - what the checks of the tool share: results, the tool, a program that answers questions, and its figures."""
import json
import os
import subprocess
import sys

SCRATCH = sys.argv[1]
TOOL = os.environ["TEST_TOOL"]
FULL = bool(os.environ.get("TEST_FULL"))
ADDENDS = ["live", "cached", "stranded", "slack", "books", "empty"]


def tap(good, name, *why):
    print(("ok - " if good else "not ok - ") + name, flush=True)
    for line in why[:5] if not good else ():
        print("#   " + str(line)[:2000], flush=True)


def skip(name, why):
    print(f"ok - {name} # SKIP {why}", flush=True)


def tool(*words, command=()):
    done = subprocess.run([*command, TOOL, *map(str, words)], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


class Work:
    """tests/stats/work.c: it answers questions."""

    def __init__(self, program=None, mode="", options="", command=()):
        env = dict(os.environ, TINYMEM=options)
        self.process = subprocess.Popen(
            [*command, *([os.path.join(SCRATCH, program), mode] if program else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            text=True,
        )
        self.pid = self.process.pid
        self.process.stdout.readline()

    def ask(self, question):
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


def differences(theirs, ours, path=""):
    """Where two JSON values differ, except for the clock."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return [
            d
            for k in sorted(set(theirs) | set(ours))
            if k != "clock_ms"
            for d in differences(theirs.get(k), ours.get(k), f"{path}.{k}")
        ]
    if isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        return [d for i, pair in enumerate(zip(theirs, ours)) for d in differences(*pair, f"{path}[{i}]")]
    return [] if theirs == ours else [f"{path}: {theirs} there, {ours} here"]


def sum_faults(figures):
    faults = []
    for name, part in list(figures["heaps"].items()) + [("class", row) for row in figures["classes"]]:
        if sum(part[a] for a in ADDENDS) != part["resident"]:
            faults.append(f"{name}: {part}")
    for name in ("raw", "movable"):
        for figure in ADDENDS + ["live_blocks", "cached_blocks"]:
            if sum(c[figure] for c in figures["classes"] if c["heap"] == name) != figures["heaps"][name][figure]:
                faults.append(f"{name}.{figure} is not the sum of its classes")
    return faults


def stat_of(pid, *words):
    status, out, err = tool("stat", "--json", *words, pid)
    if status != 0:
        return {"error": err}
    figures = json.loads(out)
    return figures


def smaps_sum(pid, key):
    with open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace") as f:
        return sum(int(line.split()[1]) * 1024 for line in f if line.startswith(key + ":"))


SLEEPER = """
x = [bytes(i % 400 + 100) for i in range(100000)]
del x[10::1]
print("ready", flush=True)
while input():
    y = [bytes(3000) for i in range(300)]
    print("done", flush=True)
"""


def on_tinymem(*words):
    return ("env", "LD_PRELOAD=" + os.path.join(os.path.dirname(TOOL), "libtinymem.so"), *words)
