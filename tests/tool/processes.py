"""processes.py - looks into processes of all kinds: real programs, files that are gone, records that are nonsense."""
import json
import os
import shutil
import subprocess
import sys
import time

from kit import FULL, SCRATCH, SLEEPER, TOOL, Work, on_tinymem, skip, smaps_sum, stat_of, sum_faults, tap, tool


def trace_of(pid):
    """What a look could leave behind in a process that sleeps: time, switches, mappings, pages of its own."""

    def read(name):
        with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as f:
            return f.read()

    status = {line.split(":")[0]: line.split(":")[1].strip() for line in read("status").splitlines() if ":" in line}
    return {
        "time": read("stat").rsplit(")", 1)[1].split()[11:13],
        "maps": read("maps"),
        "anonymous": smaps_sum(pid, "Anonymous"),
        **{
            key: status[key]
            for key in ("RssAnon", "VmPTE", "VmSize", "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches")
        },
    }


def check_no_trace():
    looks = 100
    for name, program in (
        ("work", Work("work", command=("env", "TINYMEM=compaction:off"))),
        ("python3", Work(command=on_tinymem(sys.executable, "-c", SLEEPER))),
    ):
        with program as w:
            if name == "work":
                w.ask("work")
            stat_of(w.pid)
            before = trace_of(w.pid)
            for _ in range(looks):
                tool("stat", w.pid)
            for _ in range(5):
                tool("map", "--json", w.pid)
            after = trace_of(w.pid)
            tap(
                before == after,
                f"{looks} looks at a sleeping {name} leave no trace: time, switches, mappings, page tables, pages",
                *[(k, before[k], after[k]) for k in before if before[k] != after[k] and k != "maps"],
            )
            w.ask("go on" if name == "python3" else "json")
            tap(trace_of(w.pid) != after, f"control: {name} running for a moment is seen")


def looks_at(pid, count, good, name, work=lambda: None):
    wrong, unsteady, torn, slowest = [], 0, 0, 0
    for i in range(count):
        begun = time.monotonic()
        if i % 20 == 19:
            status, out, err = tool("map", "--json", pid)
            faults = [] if status == 0 and json.loads(out)["rows"] else [err]
        else:
            figures = stat_of(pid)
            faults = [figures["error"]] if "error" in figures else sum_faults(figures)
            unsteady += "look" in figures and not figures["look"]["steady"]
            torn += figures.get("look", {}).get("read_again", 0)
        wrong += faults
        slowest = max(slowest, time.monotonic() - begun)
        work()
    tap(
        wrong == [] and good(),
        f"{name}: {count} looks under load, all add up, and it lives ({unsteady} were no snapshot, {torn} records "
        f"read again, the slowest took {slowest * 1000:.0f} ms)",
        *wrong,
    )


PYTHON_LOAD = """
import json, random
print("ready", flush=True)
kept = {}
while True:
    for i in range(2000):
        kept[random.randrange(50000)] = json.loads(json.dumps({"a": list(range(i % 60)), "b": "x" * (i % 700)}))
    for key in list(kept)[::3]:
        del kept[key]
"""


def check_real():
    count = 1000 if FULL else 200
    with Work(command=on_tinymem(sys.executable, "-c", PYTHON_LOAD)) as w:
        looks_at(w.pid, count, lambda: w.process.poll() is None, "python3")
    if not shutil.which("redis-server") or not shutil.which("redis-benchmark"):
        skip("redis-server: looks under load", "redis-server is not installed")
        return
    path = os.path.join(SCRATCH, "redis.sock")
    server = subprocess.Popen(
        [*on_tinymem("redis-server"), "--port", "0", "--unixsocket", path, "--save", "", "--daemonize", "no"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 30
    while not os.path.exists(path) and time.monotonic() < end:
        time.sleep(0.05)
    load = subprocess.Popen(
        [
            "redis-benchmark",
            "-s",
            path,
            "-q",
            "-l",
            "-t",
            "set,lpush,sadd,hset",
            "-r",
            "100000",
            "-d",
            "300",
            "-n",
            "200000",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    looks_at(server.pid, count, lambda: server.poll() is None and load.poll() is None, "redis-server")
    load.kill()
    load.wait()
    server.kill()
    server.wait()


def check_garbage():
    """Records that have been overwritten with nonsense: figures that are wrong, or one line that says so."""
    seeds, bad, said = 150 if FULL else 12, [], 0
    for seed in range(seeds):
        with Work("garbage", str(seed), options="compaction:off") as w:
            for words in (["stat"], ["map", "--json"]):
                try:
                    status, _, err = tool(*words, w.pid)
                except subprocess.TimeoutExpired:
                    status, err = "it hung", ""
                said += status == 1
                if status not in (0, 1) or (status == 1 and not (err.startswith("tinymem: ") and err.count("\n") == 1)):
                    bad.append((seed, words, status, err))
    tap(
        bad == [], f"{seeds} heaps whose records are overwritten: no look crashes or hangs ({said} were given up)", *bad
    )


def check_places():
    """Where the library's file is does not matter."""
    with Work("work") as w:
        w.ask("work")
        before = stat_of(w.pid)
        os.rename(os.path.join(SCRATCH, "libtinymem.so.0"), os.path.join(SCRATCH, "moved"))
        os.unlink(os.path.join(SCRATCH, "moved"))
        after = stat_of(w.pid)
        tap("error" not in before and "error" not in after, "a library whose file was deleted is found", before, after)
    with open(os.path.join(os.path.dirname(TOOL), "libtinymem.so"), "rb") as f:
        with open(os.path.join(SCRATCH, "libtinymem.so.0"), "wb") as to:
            to.write(f.read())
    both = os.path.join(os.path.dirname(TOOL), "libtinymem.so")
    with Work("handles", command=("env", "LD_PRELOAD=" + both)) as w:
        w.ask("work")
        first, second = stat_of(w.pid), stat_of(w.pid, "--library", "tinymem-handles")
        tap(
            first["heaps"]["raw"]["live"] > 1 << 20 and second["heaps"]["raw"]["live"] == 0,
            "of two libraries the one that serves malloc is looked at, and the other when asked for",
            first,
            second,
        )
        text = tool("stat", w.pid)[1]
        tap("there are 2 tinymem libraries" in text, "and the text says that there are two", text)


def check_files():
    """Programs linked in every way, whose file is gone; a library under another name; processes that end meanwhile."""
    for program in ("archive", "static", "static-pie", "fixed"):
        copy = os.path.join(SCRATCH, "gone")
        shutil.copy(os.path.join(SCRATCH, program), copy)
        with Work("gone") as w:
            w.ask("work")
            os.unlink(copy)
            figures = stat_of(w.pid)
            good = figures.get("heaps", {}).get("raw", {}).get("live", 0) > 1 << 20
            tap(good, f"{program}: a program whose file was deleted is looked into", figures)
    other = os.path.join(SCRATCH, "another-name.so")
    shutil.copy(os.path.join(os.path.dirname(TOOL), "libtinymem.so"), other)
    with Work(command=("env", "LD_PRELOAD=" + other, sys.executable, "-c", SLEEPER)) as w:
        figures = stat_of(w.pid)
        tap(figures.get("pid") == w.pid, "a library under another name is found", figures)
    bad = []
    for i in range(30):
        with Work("work", "churn") as w:
            looks = [
                subprocess.Popen(
                    [TOOL, *words, str(w.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
                )
                for words in (["stat"], ["map"], ["trim"], ["doctor"])
            ]
            time.sleep(i * 0.0003)
            w.process.kill()
            for look in looks:
                err = look.communicate(timeout=60)[1]
                if look.returncode not in (0, 1) or (look.returncode == 1) != (err.count("\n") == 1):
                    bad.append((i, look.args, look.returncode, err))
    tap(bad == [], "120 looks at processes that end meanwhile: each succeeds, or says why not", *bad)


def check_namespaces():
    """A library that only the process's own mount namespace has; a process that hides; a kernel that restricts."""
    if os.geteuid() != 0:
        skip("a library in another mount namespace", "only root can make one")
        return
    folder = os.path.join(SCRATCH, "mounted")
    os.mkdir(folder)
    library = os.path.join(os.path.dirname(TOOL), "libtinymem.so")
    script = f'mount -t tmpfs none {folder} && cp {library} {folder} && LD_PRELOAD={folder}/libtinymem.so exec "$@"'
    made = ("unshare", "--mount", "sh", "-c", script, "-")
    if subprocess.run([*made, "true"], capture_output=True).returncode != 0:
        skip("a library in another mount namespace", "none can be made here")
    else:
        with Work(command=(*made, sys.executable, "-c", SLEEPER)) as w:
            figures = stat_of(w.pid)
            seen = not os.path.exists(folder + "/libtinymem.so") and figures.get("pid") == w.pid
            tap(seen, "a library in another mount namespace is found", figures)
    user = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
    hide = "import ctypes; ctypes.CDLL(None).prctl(4, 0)\n" + SLEEPER
    os.chmod(SCRATCH, 0o755)
    copy = os.path.join(SCRATCH, "for-all")
    shutil.copy(TOOL, copy)
    with Work(command=(*user, sys.executable, "-c", hide)) as w:
        done = subprocess.run([*user, copy, "stat", str(w.pid)], capture_output=True, text=True)
        good = done.returncode == 1 and "it has other privileges" in done.stderr and done.stderr.count("\n") == 1
        tap(good, "refused in one line: a process of one's own that hides", done)
        tap("does not run on tinymem" in tool("stat", w.pid)[2], "control: root may look into it")
    with Work(command=(*user, sys.executable, "-c", SLEEPER)) as w:
        done = subprocess.run([*user, copy, "stat", str(w.pid)], capture_output=True, text=True)
        name = "control: a user may look into one's own process"
        try:
            with open("/proc/sys/kernel/yama/ptrace_scope", encoding="ascii") as f:
                restricted = f.read().strip() != "0"
        except OSError:
            restricted = False
        tap(("ptrace_scope" if restricted else "does not run on tinymem") in done.stderr, name, done)
