"""tool.py SCRATCH - looks of the tool into processes: what it says must be what they say of themselves.

Each check has a control: a figure that is off by one, or a process that is none of ours, must be noticed.
"""
import json
import os
import subprocess
import sys
import time

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

    def __init__(self, program="work", mode="", options="", command=()):
        env = dict(os.environ, TINYMEM=options)
        self.process = subprocess.Popen([*command, os.path.join(SCRATCH, program), mode], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, text=True)
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
    """Where two JSON values differ, but for the clock."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return [d for k in sorted(set(theirs) | set(ours)) if k != "clock_ms"
                for d in differences(theirs.get(k), ours.get(k), f"{path}.{k}")]
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


# ---- stat --------------------------------------------------------------------------------------------------------------------


def stat_of(pid, *words):
    status, out, err = tool("stat", "--json", *words, pid)
    if status != 0:
        return {"error": err}
    figures = json.loads(out)
    return figures


def quiet(w):
    """The program's own figures while its caches are at rest, and the tool's."""
    for _ in range(200):
        theirs, ours = json.loads(w.ask("json")), stat_of(w.pid)
        look = ours.pop("look", {})
        if look.get("steady"):
            again = json.loads(w.ask("json"))
            if not differences(theirs, again):
                return theirs, ours, look
        time.sleep(0.1)
    return theirs, ours, look


def check_quiet(program, name):
    with Work(program) as w:
        theirs, ours, look = quiet(w)
        tap(differences(theirs, ours) == [], f"{name}: before any work the figures are equal", *differences(theirs, ours))
        w.ask("work")
        theirs, ours, look = quiet(w)
        wrong = differences(theirs, ours)
        tap(wrong == [] and look.get("steady"), f"{name}: all {len(theirs['classes'])} classes and sums are equal", look, *wrong)
        tap(sum_faults(ours) == [], f"{name}: sums are those of the rows", *sum_faults(ours))
        ours["heaps"]["raw"]["live"] += 1
        tap(len(differences(theirs, ours)) == 1, f"control: {name}: a byte more is noticed")
        status, out, err = tool("stat", w.pid)
        tap(status == 0 and err == "" and len(out.splitlines()) <= 30, f"{name}: the text is one screen", out, err)


def check_busy():
    looks, torn, unsteady, wrong = 400 if FULL else 150, 0, 0, []
    with Work("work", "churn") as w:
        for _ in range(looks):
            figures = stat_of(w.pid)
            if "error" in figures:
                wrong.append(figures)
                continue
            torn += figures["look"]["read_again"]
            unsteady += not figures["look"]["steady"]
            wrong += sum_faults(figures)
        alive = w.process.poll() is None and w.ask("json") != ""
    tap(wrong == [] and alive, f"{looks} looks at two busy threads: all add up, the program lives "
        f"({unsteady} were no snapshot, {torn} records were read again)", *wrong)
    tap(unsteady > 0, "control: looks at a busy program are not taken for snapshots")


def check_refusals():
    def refused(name, status_wanted, text, *words, command=()):
        status, out, err = tool(*words, command=command)
        good = status == status_wanted and out == "" and text in err and err.count("\n") == 1 and err.startswith("tinymem")
        tap(good, "refused in one line: " + name, status, out, err)

    gone = subprocess.Popen(["true"])
    gone.wait()
    refused("no such process", 1, f"there is no process {gone.pid}", "stat", gone.pid)
    zombie = subprocess.Popen(["true"])
    time.sleep(0.2)
    refused("a process that has ended", 1, f"process {zombie.pid} has ended", "stat", zombie.pid)
    zombie.wait()
    refused("a number that is none", 2, "is not a process number", "stat", "12x")
    refused("no number", 2, "a process number is missing", "stat")
    refused("a word too many", 2, "one word too many", "stat", "1", "2")
    refused("a program of another malloc", 1, "does not run on tinymem", "stat", os.getpid())
    if os.geteuid() == 0 and os.path.exists("/proc/2/comm"):
        refused("a thread of the kernel", 1, "a thread of the kernel", "stat", 2)
    with Work("stripped") as w:
        refused("a stripped static program", 1, "does not run on tinymem", "stat", w.pid)
    with Work("work") as w:
        refused("a library that is not there", 1, 'no tinymem in a file with "/no/such/" in its path', "stat", "--library",
                "/no/such/", w.pid)
        if os.geteuid() == 0:
            user = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
            os.chmod(SCRATCH, 0o755)
            refused("another user's process", 1, "no right to look into process", "stat", w.pid, command=user)
        else:
            skip("refused in one line: another user's process", "only root can become another user")
    check_layout(refused)


def check_layout(refused):
    """The same library with one number changed, the version or the stamp, is not read."""
    library = os.path.join(SCRATCH, "libtinymem.so.0")
    with open(library, "rb") as f:
        whole = f.read()
    at = whole.index(b"tinymem\0\1\0\0\0")
    for name, offset, text in (("another layout", 8, "in layout 2"), ("records of other sizes", None, "was built otherwise")):
        changed = bytearray(whole)
        if offset is not None:
            changed[at + offset] = 2
        else:
            facts = at + int.from_bytes(whole[at + 16:at + 20], "little", signed=True)
            changed[facts] ^= 1
        folder = os.path.join(SCRATCH, "changed" + str(offset))
        os.mkdir(folder)
        with open(os.path.join(folder, "libtinymem.so.0"), "wb") as f:
            f.write(changed)
        with Work("work", command=("env", "LD_LIBRARY_PATH=" + folder)) as w:
            refused(name, 1, text, "stat", w.pid)


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
        tap(first["heaps"]["raw"]["live"] > 1 << 20 and second["heaps"]["raw"]["live"] == 0,
            "of two libraries the one that serves malloc is looked at, and the other when asked for", first, second)
        text = tool("stat", w.pid)[1]
        tap("there are 2 tinymem libraries" in text, "and the text says that there are two", text)


def main():
    check_quiet("work", "libtinymem.so")
    check_quiet("handles", "libtinymem-handles.so")
    check_quiet("archive", "libtinymem.a")
    check_quiet("static", "libtinymem.a in a static program")
    check_busy()
    check_places()
    check_refusals()


main()
