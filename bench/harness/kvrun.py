"""The suite kv: cache servers. The client kv-load sends the same requests to each of them and prints the figures."""

import contextlib
import os
import subprocess

from . import handlesrun, paths, runner, servers

KEYS = 10000000               # number of keys where bytes a key are measured
KEYS_PER_MIB = 20000          # the same in a quick run
SECONDS, QUICK_SECONDS = 5, 0.3
OTHERS = servers.REDIS[1:]


class OtherServer(servers.Server):
    """The command of another project's server, with its own allocator, and active defragmentation if it has that."""

    def __init__(self, path, tmp):
        super().__init__((path, *OTHERS), None, tmp)

    def settings(self):
        return {}

    def wait_until_up(self):
        super().wait_until_up()
        self.defragments = self.ask("CONFIG", "SET", "activedefrag", "yes").startswith(b"+OK")

    def ask(self, *words):
        import socket
        with socket.create_connection(("127.0.0.1", self.port), 10) as s:
            s.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words))
            return s.recv(1000)

    def judge(self):
        return os.path.basename(self.argv[0]), ""


def server_for(program, allocator, ctx, tmp):
    if program.server:
        return OtherServer(program.server, tmp)
    binary = ctx.expand(program.argv[0], program, tmp)
    argv = (binary if binary.endswith("-handles") else binary + "-malloc", "--port", "{port}")
    return servers.Server(argv, allocator, tmp, dict(program.env))


def built(program, ctx):
    ours = [] if program.server else [program.argv[0] if "-handles" in program.argv[0] else "{bin}/kv-malloc"]
    names = ["{bin}/kv-load", *ours]
    return all(os.path.exists(ctx.expand(name, program, "")) for name in names)


def play(server, program, ctx, tmp):
    """The client's figures, and its points: (seconds, MiB of data, MiB resident)."""
    n = ctx.work(program)
    out = os.path.join(tmp, "figures")
    argv = [os.path.join(paths.BIN, "kv-load"), server.pid, server.port, n, QUICK_SECONDS if ctx.quick else SECONDS,
            n * KEYS_PER_MIB if ctx.quick else KEYS, out + ".points"]
    with open(out, "wb") as f:
        done = subprocess.run([str(a) for a in argv], env=runner.environment(tmp), stdin=subprocess.DEVNULL, stdout=f,
                              stderr=subprocess.PIPE, timeout=runner.TIMEOUT, text=True)
    if done.returncode:
        raise RuntimeError("the client failed: " + done.stderr.strip()[-300:])
    with open(out + ".points", encoding="ascii") as f:
        points = [[float(x) for x in line.split()] for line in f]
    return handlesrun.read_figures(out, None), points


def run_kv(program, allocator, ctx):
    if not built(program, ctx):
        return {"metrics": {}, "served_by": "", "reason": "not built"}
    with paths.scratch() as tmp, contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(server_for(program, allocator, ctx, tmp))
            metrics, points = play(server, program, ctx, tmp)
            served, reason = server.judge()
            return {"metrics": {} if reason else metrics, "points": points, "served_by": served, "reason": reason}
        except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
            return {"metrics": {}, "served_by": "", "reason": str(error)}
