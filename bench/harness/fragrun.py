"""Fragmentation workloads: the harness measures PSS from outside, at moments that the program announces.

The program writes a line to descriptor BENCH_REPORT and waits for a byte on descriptor BENCH_ACK:

    base NAME LIVE OWN    before the program allocates: the memory that the process needs anyway
    mark NAME LIVE OWN    PSS is measured at once; the worst and the last ratio are recorded
    hold NAME LIVE OWN    the program sleeps until the first byte, then makes one small malloc and free a millisecond
                          until the second; PSS is measured at the end of each
    kept NAME LIVE OWN    like hold, after everything was freed: MiB above base instead of a ratio
    peak NAME LIMIT OWN   peak RSS divided by LIMIT
    point NAME LIVE OWN   a point of the picture
    books NAME LIVE OWN PAYLOAD PEAK   metadata: PAYLOAD bytes are resident in regions with blocks; PEAK is the largest
                                       number of live blocks

OWN is the size of the program's own resident tables, which is subtracted. LIVE is the sum of the requested sizes.
"""

import os
import re
import socket
import subprocess
import time

from . import paths, picture, runner, servers

MIB = 1 << 20


def pss_bytes(pid):
    with open("/proc/%d/smaps_rollup" % pid, encoding="utf-8") as f:
        return int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1)) * 1024


class Watch:
    """Turns announcements into metrics."""

    def __init__(self, pid, ctx):
        self.pid, self.ctx = pid, ctx
        self.base = 0
        self.metrics = {}
        self.curve = []            # (seconds, phase, mode, PSS MiB), for plots
        self.points = []           # (live MiB, PSS MiB less own, seconds, phase), for the picture
        self.start = time.monotonic()

    def sample(self, phase, mode):
        pss = pss_bytes(self.pid)
        self.curve.append((round(time.monotonic() - self.start, 2), phase, mode, round(pss / MIB, 2)))
        return pss

    def sample_for(self, seconds, phase, mode):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(0.5, left))
            pss = self.sample(phase, mode)
        return pss

    def figure(self, word, pss, live, own):
        if word == "kept":
            return max(pss - own - self.base, 0) / MIB
        return (pss - own) / live if live else None

    def mark(self, phase, live, own):
        ratio = self.figure("mark", self.sample(phase, "mark"), live, own)
        worst = "%s, worst ratio" % phase
        self.metrics[worst] = max(self.metrics.get(worst, 0), ratio)

    def hold(self, word, phase, live, own, advance):
        unit = "MiB" if word == "kept" else "ratio"
        for mode, seconds in (("asleep", self.ctx.sleep_seconds), ("ticking", self.ctx.tick_seconds)):
            pss = self.sample_for(seconds, phase, mode)
            self.metrics["%s, %s, %s" % (phase, mode, unit)] = self.figure(word, pss, live, own)
            advance()

    def peak(self, phase, bound, own):
        high = servers.status_mib(self.pid, "VmHWM") * MIB
        self.metrics["%s, ratio" % phase] = (high - own) / bound

    def books(self, phase, live, own, payload, peak):
        used = self.sample(phase, "books") - own - self.base
        self.metrics["%s, payload, ratio" % phase] = payload / live
        self.metrics["%s, with metadata but 8 B a peak object, ratio" % phase] = (used - 8 * peak) / live

    def announce(self, line, advance):
        word, phase, *numbers = line.split()
        live, own, *more = map(int, numbers)
        if word in ("hold", "kept"):
            self.hold(word, phase, live, own, advance)
            return
        if word == "base":
            self.base = self.sample(phase, "base") - own
        elif word == "mark":
            self.mark(phase, live, own)
        elif word == "peak":
            self.peak(phase, live, own)
        elif word == "point":
            pss = self.sample(phase, "point")
            self.points.append((round(live / MIB, 2), round((pss - own) / MIB, 2), self.curve[-1][0], phase))
            self.metrics = picture.figures(self.points)
        elif word == "books":
            self.books(phase, live, own, *more)
        advance()


def converse(process, from_child, to_child, ctx):
    watch = Watch(process.pid, ctx)
    with os.fdopen(from_child, encoding="utf-8") as lines:
        for line in lines:
            watch.announce(line, lambda: os.write(to_child, b"."))
    return watch


def start(program, allocator, ctx, tmp):
    """Start the program without a launcher, since its own pid is measured. Returns (process, read end, write end,
    probe)."""
    report_read, report_write = os.pipe()
    ack_read, ack_write = os.pipe()
    probe = runner.make_probe_file(tmp)
    env = runner.environment(tmp, {**dict(program.env), "LD_PRELOAD": runner.preload(allocator), "BENCH_PROBE": probe,
                                   "BENCH_REPORT": str(report_write), "BENCH_ACK": str(ack_read)})
    with open(os.path.join(tmp, "err"), "wb") as errors:
        process = subprocess.Popen([ctx.expand(word, program, tmp) for word in program.argv], env=env, cwd=tmp,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
                                   pass_fds=(report_write, ack_read), start_new_session=True)
    os.close(report_write)
    os.close(ack_read)
    return process, report_read, ack_write, probe


def run_frag(program, allocator, ctx):
    """A sample of a fragmentation workload."""
    if program.server:
        return run_redis_lru(program, allocator, ctx)
    with paths.scratch() as tmp:
        process, report_read, ack_write, probe = start(program, allocator, ctx, tmp)
        try:
            watch = converse(process, report_read, ack_write, ctx)
            status = process.wait(timeout=60)
        except (OSError, AttributeError, subprocess.TimeoutExpired) as error:
            status = "%s (%s)" % (process.poll(), error)
            watch = None
        finally:
            if process.poll() is None:
                runner.end_group(process)
            os.close(ack_write)
        served, reason = runner.judge_server(runner.read_probe(probe), allocator, process.pid)
        if status != 0:
            reason = "exit status %s: %s" % (status, runner.tail(os.path.join(tmp, "err")))
        return {"metrics": watch.metrics if watch else {}, "curve": watch.curve if watch else [],
                "points": watch.points if watch else [], "served_by": served, "reason": reason}


class Redis:
    """The part of the protocol that is needed: pipelined SETs, and INFO."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 30)
        self.input = self.socket.makefile("rb")

    def set_many(self, first, count, value):
        batch = 1000
        for start in range(first, first + count, batch):
            n = min(batch, first + count - start)
            self.socket.sendall(b"".join(
                b"*3\r\n$3\r\nSET\r\n$12\r\n%012d\r\n$%d\r\n%b\r\n" % (key, len(value), value)
                for key in range(start, start + n)))
            for _ in range(n):
                if self.input.readline() != b"+OK\r\n":
                    raise RuntimeError("redis refused a SET")

    def info(self, key):
        self.socket.sendall(b"*1\r\n$4\r\nINFO\r\n")
        body = self.input.read(int(self.input.readline()[1:]) + 2).decode()
        return int(re.search(r"^%s:(\d+)" % key, body, re.M).group(1))


def redis_lru(server, ctx, megabytes):
    """Mesh's test (Powers et al. 2019): 700 k values of 240 B, then 170 k of 492 B, in 100 MB; scaled to `megabytes`.
    """
    redis = Redis(server.port)
    watch = Watch(server.pid, ctx)
    redis.set_many(0, 7000 * megabytes, b"x" * 240)
    redis.set_many(10 ** 9, 1700 * megabytes, b"y" * 492)
    live = redis.info("used_memory")
    pss = watch.sample_for(ctx.sleep_seconds, "redis", "asleep")
    watch.metrics["redis, asleep, ratio"] = pss / live
    end, n = time.monotonic() + ctx.tick_seconds, 0
    while time.monotonic() < end:
        redis.set_many(10 ** 9 + n % 100, 1, b"y" * 492)
        n += 1
        time.sleep(0.001)
        if n % 500 == 0:
            watch.sample("redis", "ticking")
    watch.metrics["redis, ticking, ratio"] = watch.sample("redis", "ticking") / redis.info("used_memory")
    return watch


def run_redis_lru(program, allocator, ctx):
    megabytes = ctx.work(program)
    argv = servers.REDIS + ("--maxmemory", "%dmb" % megabytes, "--maxmemory-policy", "allkeys-lru")
    with paths.scratch() as tmp:
        try:
            with servers.Server(argv, allocator, tmp) as server:
                watch = redis_lru(server, ctx, megabytes)
                served, reason = server.judge()
                return {"metrics": watch.metrics, "curve": watch.curve, "served_by": served, "reason": reason}
        except (OSError, RuntimeError, AttributeError, ValueError) as error:
            return {"metrics": {}, "served_by": "", "reason": str(error)}
