"""One run of one program under one allocator, and whether the run is valid.

R1  The allocator and the probe are preloaded into the measured program only, never into the launcher or a client.
R2  A run is valid only if in every process that reports, the measured one among them, the intended library serves
    malloc, calloc, realloc and free.
R3  A run that fails, or whose output differs from that under glibc, is void."""

import hashlib
import json
import os
import signal
import subprocess
from dataclasses import dataclass

from . import paths

TIMEOUT = 900


@dataclass
class Context:
    """The parameters of a run besides the program and the allocator."""
    quick: bool = False
    tick_seconds: float = 10.0
    sleep_seconds: float = 1.0
    micro_seconds: float = 0.05
    step_ms: int = 100        # length of a step of the picture

    def work(self, program):
        return program.quick if self.quick else program.n

    def expand(self, text, program, tmp):
        for name, value in (("bin", paths.BIN), ("scripts", paths.SCRIPTS), ("data", paths.DATA), ("tmp", tmp),
                            ("n", str(self.work(program))), ("step", str(self.step_ms))):
            text = text.replace("{%s}" % name, value)
        return text


def environment(tmp, settings=()):
    """A small, fixed environment. Variables TINYMEM* are passed on, so that options can be tried; reports list them."""
    env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": tmp, "TMPDIR": tmp, "LC_ALL": "C.UTF-8"}
    env.update(tuning())
    env.update(settings)
    return env


def tuning():
    return {k: v for k, v in os.environ.items() if k.startswith("TINYMEM")}


def preload(allocator):
    return "%s:%s" % (paths.PROBE, allocator.path)


def make_probe_file(tmp):
    path = os.path.join(tmp, "probe")
    with open(path, "w", encoding="utf-8"):
        pass
    return path


def read_probe(path):
    """[(pid, executable, [objects of malloc, calloc, realloc, free])] in the order the processes started."""
    lines = []
    with open(path, encoding="utf-8", errors="replace") as f:
        for line in f:
            parts = line.rstrip("\n").split("\t")
            if len(parts) == 6:
                lines.append((int(parts[0]), parts[1], parts[2:]))
    return lines


def same_file(a, b):
    try:
        return os.path.samefile(a, b)
    except OSError:
        return False


def judge_server(lines, allocator, pid=None, measured=""):
    """(library that served malloc, reason why the run is void or ''). The measured process is `pid`, or any process
    whose executable is called `measured`."""
    mine = [line for line in lines
            if (os.path.basename(line[1]) == measured if measured else pid is None or line[0] == pid)]
    if not mine:
        return "", "the probe did not report from the measured process"
    served = os.path.basename(mine[-1][2][0])
    for line in lines:
        if not all(same_file(found, allocator.path) for found in line[2]):
            wrong = sorted({os.path.basename(f) for f in line[2] if not same_file(f, allocator.path)})
            return served, "malloc of %s served by %s, not by %s" % (
                os.path.basename(line[1]), ", ".join(wrong), os.path.basename(allocator.path))
    return served, ""


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()[:16]


def tail(path, n=300):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()[-n:].strip().replace("\n", " | ")
    except OSError:
        return ""


def end_group(process):
    """End a launcher and all processes of its session, which it leads."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def launch(program, allocator, ctx, tmp):
    """Run under the launcher. Returns (records of measure, stdout path, stderr path, probe path)."""
    files = {k: os.path.join(tmp, k) for k in ("result", "out", "err")}
    probe = make_probe_file(tmp)
    settings = [("LD_PRELOAD", preload(allocator)), ("BENCH_PROBE", probe)]
    command = [paths.MEASURE, "-r", files["result"], "-x", files["err"],
               "-o", files["out"] if program.output == "compare" else "/dev/null",
               "-n", str(ctx.work(program) if program.repeat > 1 else 1), "-C", tmp]
    if program.stdin:
        command += ["-i", ctx.expand(program.stdin, program, tmp)]
    for name, value in settings:
        command += ["-e", "%s=%s" % (name, value)]
    command += [ctx.expand(word, program, tmp) for word in program.argv]
    process = subprocess.Popen(command, env=environment(tmp, program.env), start_new_session=True)
    try:
        process.wait(timeout=TIMEOUT)
    except BaseException:
        end_group(process)
        raise
    with open(files["result"], encoding="utf-8") as f:
        records = [json.loads(line) for line in f]
    return records, files["out"], files["err"], probe


def exit_reason(record, err):
    if record["signal"]:
        how = "ended by signal %d" % record["signal"]
    elif record["exit"]:
        how = "exit status %d" % record["exit"]
    else:
        return ""
    said = tail(err)
    return how + (": " + said if said else "")


def batch_metrics(records):
    """The costs of one process; for several processes (start-up) their mean."""
    n = len(records)
    user = sum(r["user_us"] for r in records) / n / 1e6
    system = sum(r["sys_us"] for r in records) / n / 1e6
    return {"time": sum(r["wall_ns"] for r in records) / n / 1e9, "cpu": user + system, "user": user, "sys": system,
            "rss": sum(r["maxrss_kib"] for r in records) / n / 1024, "faults": sum(r["minflt"] for r in records) / n}


def run_batch(program, allocator, ctx):
    """A sample of a program that starts, works and ends."""
    with paths.scratch() as tmp:
        records, out, err, probe = launch(program, allocator, ctx, tmp)
        if not records:
            return {"metrics": {}, "reason": "could not be started"}
        sample = {"metrics": batch_metrics(records)}
        sample["served_by"], wrong = judge_server(read_probe(probe), allocator, records[-1]["pid"], program.measured)
        sample["reason"] = exit_reason(records[-1], err) or wrong
        if program.output == "compare":
            sample["output"] = digest(out)
        if program.artefact and not sample["reason"]:
            sample["output"] += " " + digest(ctx.expand(program.artefact, program, tmp))
        return sample
