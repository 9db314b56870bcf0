"""Memory by need: programs that print their figures, and servers, whose memory is measured after their work.

M1  The figure is the server's private anonymous memory, less that of the same server before its work: files and shared
    memory are the same under all allocators."""

import glob
import os
import re
import shutil
import subprocess
import time

from . import handlesrun, paths, runner, servers

QUIET = 3  # seconds without a request


def anonymous_mib(pid):
    with open("/proc/%d/smaps_rollup" % pid, encoding="ascii") as f:
        text = f.read()
    return int(re.search(r"^Anonymous:\s+(\d+)", text, re.M).group(1)) / 1024


def redis_flush(server, n):
    """Keys with values of 100 to 400 bytes, then none."""
    before = anonymous_mib(server.pid)
    for size in (100, 250, 400):
        load = servers.redis_benchmark(server, "set", n, "-P", "16", "-r", str(n * 700), "-d", str(size))
        servers.client(load, server.tmp)
    full = anonymous_mib(server.pid)
    servers.client(["redis-cli", "-p", str(server.port), "FLUSHALL", "SYNC"], server.tmp)
    time.sleep(QUIET)
    return {"full, MiB": full - before, "asleep %d s later, MiB" % QUIET: anonymous_mib(server.pid) - before}


def postgres_folder():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
    if not found:
        raise RuntimeError("no PostgreSQL server")
    return os.path.dirname(found[-1])


def as_postgres():
    """PostgreSQL does not run as root."""
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []


def postgres_command(tmp):
    data = os.path.join(tmp, "data")
    os.mkdir(data)
    if os.getuid() == 0:
        os.chmod(tmp, 0o755)
        shutil.chown(data, "postgres", "postgres")
    folder = postgres_folder()
    servers.client(as_postgres() + [os.path.join(folder, "initdb"), "-D", data, "-U", "postgres", "-A", "trust",
                                    "--no-sync", "-E", "UTF8", "--locale=C"], tmp)
    return as_postgres() + [os.path.join(folder, "postgres"), "-D", data, "-h", "127.0.0.1", "-p", "{port}", "-k", "",
                            "-c", "fsync=off", "-c", "shared_buffers=16MB"]


class Session:
    """A connection that stays open, so that its backend stays, too."""

    def __init__(self, server):
        command = ["psql", "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", "-qAtX", "postgres"]
        self.psql = subprocess.Popen(command, env=runner.environment(server.tmp), stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1)
        self.pid = int(self.ask("SELECT pg_backend_pid();"))

    def ask(self, query):
        self.psql.stdin.write(query + "\n")
        self.psql.stdin.flush()
        return self.psql.stdout.readline().strip()

    def end(self):
        self.psql.stdin.close()
        self.psql.wait(timeout=10)


def postgres_sort(server, n):
    """Backends that sort some hundred thousand rows in memory each, and then wait for their clients."""
    sessions = [Session(server) for _ in range(4)]
    before = [anonymous_mib(s.pid) for s in sessions]
    for s in sessions:
        s.ask("SET work_mem = '256MB'; SELECT count(*) FROM"
              " (SELECT md5(g::text) AS m FROM generate_series(1, %d) g ORDER BY m) t;" % (n * 1000))
    time.sleep(QUIET)
    kept = [anonymous_mib(s.pid) - b for s, b in zip(sessions, before)]
    for s in sessions:
        s.end()
    return {"each backend, asleep %d s later, MiB" % QUIET: sum(kept) / len(kept)}


WORKLOADS = {"redis-flush": (lambda tmp: list(servers.REDIS), redis_flush),
             "postgres-sort": (postgres_command, postgres_sort)}


def run_need(program, allocator, ctx):
    """A sample of a program or server of the suite."""
    if not program.server:
        return handlesrun.run_figures(program, allocator, ctx)
    command, work = WORKLOADS[program.server]
    with paths.scratch() as tmp:
        with servers.Server(command(tmp), allocator, tmp) as server:
            metrics = work(server, ctx.work(program))
            served, reason = server.judge()
            return {"metrics": {} if reason else metrics, "served_by": served, "reason": reason}
