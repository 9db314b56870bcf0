"""Programs that are servers: started under the allocator, loaded by a client, and stopped by their pid.

S1  Only the server runs under the allocator, not the client. The server's CPU time is read from /proc before and after
    the work, its peak RSS from VmHWM. So starting and stopping are not included.
S2  The wall time is that of the client's work."""

import os
import re
import signal
import socket
import subprocess
import time

from . import paths, runner

TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu_seconds(pid):
    """(user, system) seconds of all threads of a running process."""
    with open("/proc/%d/stat" % pid, encoding="utf-8") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return int(fields[11]) / TICKS, int(fields[12]) / TICKS


def status_mib(pid, key):
    with open("/proc/%d/status" % pid, encoding="utf-8") as f:
        return int(re.search(r"^%s:\s+(\d+)" % key, f.read(), re.M).group(1)) / 1024


class Server:
    """A server process under an allocator; use as a context manager."""

    def __init__(self, argv, allocator, tmp, env=None):
        self.env = env or {}
        self.port = free_port()
        self.allocator = allocator
        self.tmp = tmp
        self.probe = runner.make_probe_file(tmp)
        self.argv = [word.replace("{port}", str(self.port)) for word in argv]
        self.log = os.path.join(tmp, "server.log")

    def settings(self):
        return {"LD_PRELOAD": runner.preload(self.allocator), "BENCH_PROBE": self.probe}

    def __enter__(self):
        env = runner.environment(self.tmp, {**self.env, **self.settings()})
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(self.argv, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            cwd=self.tmp, start_new_session=True)
        self.pid = self.process.pid
        try:
            self.wait_until_up()
        except BaseException:
            self.stop()
            raise
        return self

    def wait_until_up(self):
        end = time.monotonic() + 20
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError("server ended at once: " + runner.tail(self.log))
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("server did not open its port")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                runner.end_group(self.process)

    def __exit__(self, *_):
        self.stop()

    def judge(self):
        return runner.judge_server(runner.read_probe(self.probe), self.allocator, self.pid)


def client(command, tmp):
    done = subprocess.run(command, env=runner.environment(tmp), stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=runner.TIMEOUT)
    if done.returncode:
        raise RuntimeError("client failed: " + (done.stderr or done.stdout)[-300:].strip())
    return done.stdout


def measured_work(server, work):
    """Run work() and measure the server's costs. If the server ends meanwhile, the run is void."""
    before, start = cpu_seconds(server.pid), time.monotonic()
    try:
        work()
        wall, after = time.monotonic() - start, cpu_seconds(server.pid)
        user, system = after[0] - before[0], after[1] - before[1]
        metrics = {"time": wall, "cpu": user + system, "user": user, "sys": system,
                   "rss": status_mib(server.pid, "VmHWM")}
        served, reason = server.judge()
        return {"metrics": metrics, "served_by": served, "reason": reason}
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        ended = server.process.poll()
        return {"metrics": {}, "served_by": "", "reason": "%s%s" % (
            "server ended with status %d; " % ended if ended is not None else "", error)}


REDIS = ("redis-server", "--port", "{port}", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
         "--daemonize", "no", "--protected-mode", "no")
MEMCACHED = ("memcached", "-p", "{port}", "-l", "127.0.0.1", "-U", "0", "-m", "512", "-t", "2")


def redis_benchmark(server, tests, thousands, *more):
    return ["redis-benchmark", "-h", "127.0.0.1", "-p", str(server.port), "-q", "-c", "20", "-t", tests,
            "-n", str(thousands * 1000), *more]


def redis_set(server, n):
    client(redis_benchmark(server, "set,get", n, "-P", "16", "-r", str(n * 700), "-d", "180"), server.tmp)


def redis_lists(server, n):
    client(redis_benchmark(server, "lpush,rpush,lpop", n, "-P", "16", "-d", "40"), server.tmp)
    client(redis_benchmark(server, "lrange_300", max(n // 30, 1), "-P", "4"), server.tmp)


def redis_mixed(server, n):
    client(redis_benchmark(server, "sadd,hset,zadd", n, "-P", "16", "-r", str(n * 200)), server.tmp)
    client(redis_benchmark(server, "mset", max(n // 10, 1), "-P", "4", "-r", str(n * 400), "-d", "60"), server.tmp)


def memcached(server, n):
    client([os.path.join(paths.BIN, "memcached-load"), str(server.port), str(n)], server.tmp)


WORKLOADS = {
    "redis-set": (REDIS, redis_set),
    "redis-lists": (REDIS, redis_lists),
    "redis-mixed": (REDIS, redis_mixed),
    "memcached": (MEMCACHED, memcached),
}


def run_served(program, allocator, ctx):
    """A sample of a server under its client."""
    argv, work = WORKLOADS[program.server]
    if argv is MEMCACHED and os.getuid() == 0:
        argv += ("-u", "root")
    with paths.scratch() as tmp:
        try:
            with Server(argv, allocator, tmp) as server:
                return measured_work(server, lambda: work(server, ctx.work(program)))
        except RuntimeError as error:
            return {"metrics": {}, "served_by": "", "reason": str(error)}
