"""harness.py - runs of one program: its folder, its environment, what it allocated."""
import dataclasses
import glob
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from typing import Callable

HERE = os.path.dirname(os.path.abspath(__file__))
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


class Failure(Exception):
    """The program did not do what it should."""


@dataclasses.dataclass(frozen=True)
class Program:
    """One row of the table."""
    name: str
    package: str
    what: str
    workload: Callable
    needs: list       # commands or files (patterns) without which it is skipped
    few: str = ""     # why it makes fewer than MANY allocations, if it does
    sleeps: bool = False  # it waits more than it works: others may run meanwhile

    def missing(self):
        return [n for n in self.needs if not (glob.glob(n) if n.startswith("/") else shutil.which(n, path=PATH))]

    def version(self):
        out = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", self.package], stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL,
                             text=True, check=False).stdout
        return re.sub(r"^\d+:|[-+].*$", "", out) or "?"


class Run:
    """One run of a program in a folder of its own."""

    def __init__(self, folder, environment):
        self.folder, self.environment, self.servers = folder, environment, []

    def command(self, *argv, stdin=subprocess.DEVNULL, timeout=240, environment=None):
        """Runs it to its end; its output."""
        done = subprocess.run(argv, cwd=self.folder, env=environment or self.environment, stdin=stdin,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=timeout, check=False)
        out = done.stdout.decode("utf-8", "replace").replace(self.folder, "@")
        if done.returncode != 0:
            raise Failure(f"{argv[0]} ended with status {done.returncode}\n{out[-3000:]}")
        return out

    def start(self, *argv):
        """A server, with its output in a file."""
        with open(os.path.join(self.folder, "server.log"), "wb") as log:
            server = subprocess.Popen(argv, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
                                      stdout=log, stderr=log)
        self.servers.append(server)
        return server

    def stop(self, server, how):
        """Asks the server to end, which it must do well."""
        server.send_signal(how)
        try:
            status = server.wait(30)
        except subprocess.TimeoutExpired:
            raise Failure("the server does not end") from None
        if status != 0:
            with open(os.path.join(self.folder, "server.log"), encoding="utf-8", errors="replace") as log:
                raise Failure(f"the server ended with status {status}\n{log.read()[-3000:]}")

    def clean(self):
        for server in self.servers:
            if server.poll() is None:
                server.send_signal(signal.SIGKILL)
                server.wait()


@dataclasses.dataclass
class Outcome:
    """What came of one run."""
    output: str = ""
    seconds: float = 0.0
    allocs: int = 0
    processes: int = 0
    error: str = ""
    complaints: str = ""


def environment(mode, library, counts):
    """plain: without the library. preload: with it. counted: with it, counting."""
    env = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD", "TINYMEM", "PYTHONPATH", "PYTHONHOME")}
    env.update(PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL="C.UTF-8", TZ="UTC")
    if mode != "plain":
        env["LD_PRELOAD"] = library
    if mode == "counted":
        env["TINYMEM"] = "stats:on,stats_file:" + counts
    return env


def perform(program, mode, library):
    """One run, in a new folder."""
    outcome = Outcome()
    with tempfile.TemporaryDirectory(prefix="tinymem-program-") as base:
        folder, counts = os.path.join(base, "run"), os.path.join(base, "counts")
        os.mkdir(folder)
        env = environment(mode, library, counts)
        env["TMPDIR"] = base
        run = Run(folder, env)
        started = time.monotonic()
        try:
            outcome.output = program.workload(run)
        except Failure as failure:
            outcome.error = str(failure)
        # a reply that is none, a file that is not there: the program's fault until shown otherwise
        except Exception as failure:
            outcome.error = f"{type(failure).__name__}: {failure}"
        finally:
            run.clean()
        outcome.seconds = time.monotonic() - started
        if os.path.exists(counts):
            with open(counts, encoding="utf-8", errors="replace") as f:
                numbers = [int(n) for n in re.findall(r"^tinymem: .*?\ballocs=(\d+)", f.read(), re.M)]
            outcome.allocs, outcome.processes = sum(numbers), len(numbers)
    return outcome
