"""tool.py SCRATCH - looks of the tool into processes: what it says must be what they say about themselves.

Each check has a control: a figure that is off by one, or a process that is none of ours, must be noticed.
"""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

from kit import SCRATCH, SLEEPER, TOOL, Work, differences, on_tinymem, skip, stat_of, tap, tool
from figures import check_busy, check_map, check_mixed, check_moving, check_pinned, check_quiet, map_faults
from compare import check_compare
from holders import check_holders
from processes import check_files, check_garbage, check_namespaces, check_no_trace, check_places, check_real


# ---- requests --------------------------------------------------------------------------------------------------------


def check_requests():
    with Work(command=on_tinymem(sys.executable, "-c", SLEEPER)) as w:
        status, out, _ = tool("trim", "--wait", "20", w.pid)
        tap(
            status == 0 and out.startswith("left, and not served within 20 ms"),
            "a program that sleeps serves a request later",
            out,
        )
        before = stat_of(w.pid)
        w.ask("go on")
        after = stat_of(w.pid)
        tap(after["purged"] - before["purged"] > before["heaps"]["raw"]["empty"] // 2, "and then it has", before, after)
    with Work("work", "churn") as w:
        w.ask("work")
        status, out, err = tool("trim", "--wait", 60000, w.pid)
        tap(status == 0 and out.startswith("served: "), "a busy program serves it at once", out, err)
        status, out, err = tool("profile", "--wait", 60000, w.pid)
        tap(
            (status == 1 and "keeps no profile" in err) or out.startswith("served: "),
            "a profile is asked for in the same way, or refused in a line",
            status,
            out,
            err,
        )
    with Work("work", "churn") as w:
        w.process.send_signal(signal.SIGSTOP)
        time.sleep(0.1)
        out = tool("trim", "--wait", "20", w.pid)[1] + tool("map", "--compact", "--wait", "20", w.pid)[1]
        tap(
            out.count("is stopped") == 2 and tool("map", w.pid)[0] == 0,
            "of a process that is stopped it is said that it serves nothing",
            out[:500],
        )
        w.process.send_signal(signal.SIGCONT)
        out = tool("trim", "--wait", 60000, w.pid)[1]
        tap(out.startswith("served: "), "control: and once it goes on it does", out)
    with Work("handles") as w:
        out = tool("trim", "--wait", "0", w.pid)[1]
        tap(out.startswith(("left", "nothing to give back")), "a heap that is not used has nothing to give back", out)


# ---- doctor, top -----------------------------------------------------------------------------------------------------


def check_doctor():
    def says(pid, found, what, text):
        status, out, err = tool("doctor", pid)
        return status == 0 and any(
            line.startswith(f"  {found:4}  {what:18} ") and text in line for line in out.splitlines()
        )

    for program in ("work", "archive"):
        with Work(program, options="purge_keep:7" if program == "work" else "") as w:
            w.ask("work")
            tap(
                says(w.pid, "ok", "malloc", "serves malloc"),
                f"doctor: {program}: tinymem serves malloc",
                tool("doctor", w.pid),
            )
            if program == "work":
                tap(
                    says(w.pid, "ok", "options", "purge_keep:7 - "),
                    "doctor: the options that are not the default",
                    tool("doctor", w.pid),
                )
    with Work("static") as w:
        tap(
            says(w.pid, "ok", "linking", "tinymem is linked in"),
            "doctor: a static program that has it",
            tool("doctor", w.pid),
        )
    with Work("handles") as w:
        tap(
            says(w.pid, "warn", "malloc", "not tinymem"),
            "doctor: beside the movable heap alone malloc is libc's",
            tool("doctor", w.pid),
        )
    with Work(command=(sys.executable, "-c", SLEEPER)) as w:
        tap(
            says(w.pid, "warn", "tinymem", "not there") and says(w.pid, "warn", "malloc", "libc.so.6"),
            "doctor: a process without tinymem",
            tool("doctor", w.pid),
        )


def in_terminal(words, act, rows=30, columns=100):
    """Run the tool on a terminal; act(write, read) talks to it. Its exit status, and all that it has written."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    before = termios.tcgetattr(child)
    process = subprocess.Popen(
        [TOOL, *map(str, words)], stdin=child, stdout=child, stderr=child, start_new_session=True
    )
    seen = b""

    def read(wanted):
        nonlocal seen
        end = time.monotonic() + 30
        while wanted not in seen and time.monotonic() < end and select.select([parent], [], [], 1)[0]:
            seen += os.read(parent, 65536)

    act(lambda data: os.write(parent, data), read)
    end = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < end:
        if select.select([parent], [], [], 0.1)[0]:
            seen += os.read(parent, 65536)
    process.kill()
    while select.select([parent], [], [], 0)[0]:
        seen += os.read(parent, 65536)
    same = termios.tcgetattr(child) == before
    os.close(parent)
    os.close(child)
    return process.wait(), seen.decode(errors="replace"), same


def check_top():
    with Work("work", "churn") as w:
        w.ask("work")
        status, out, err = tool("top", "--count", 3, "--interval", 0.05, w.pid)
        tap(
            status == 0 and out.count("compaction moved") == 3 and "\033" not in out,
            "top --count 3 without a terminal is three looks",
            status,
            out,
            err,
        )

        def press_q(write, read):
            read(b"compaction moved")
            write(b"q")

        status, seen, same = in_terminal(["top", "--interval", 5, w.pid], press_q)
        screen = seen.split("\033[H", 1)[-1].split("\033[J", 1)[0]
        tap(
            status == 0 and seen.endswith("\033[?1049l") and same,
            "top: q ends it, and the terminal is as it was",
            status,
            seen[-200:],
        )
        lines = [line.replace("\033[K", "").rstrip("\r") for line in screen.split("\n")]
        tap(
            len(lines) <= 30 and all(len(line) <= 100 for line in lines),
            "top: a look fits the terminal",
            len(lines),
            *lines,
        )

        def end_the_process(write, read):
            read(b"compaction moved")
            w.process.kill()
            w.process.wait()

        status, seen, same = in_terminal(["top", "--interval", 0.1, w.pid], end_the_process)
        tap(
            status == 1 and f"process {w.pid} has ended" in seen and "\033[?1049l" in seen and same,
            "top: the end of the process is told on the terminal as it was",
            status,
            seen[-300:],
        )
    tap(tool("top", "--interval", "0", "1")[0] == 2, "top: no interval is wrong usage")


def objects_per_second(text):
    return [int(n) for n in re.findall(r"compaction moved (\d+) objects/s", text)]


def check_top_mover():
    """Compaction at work, and who does it."""
    with Work("moving") as w:
        text = tool("top", "--count", 12, "--interval", 0.1, w.pid)[1]
        rates = objects_per_second(text)
        tap(
            len(rates) == 12 and rates[0] == 0 and max(rates) > 0 and "mover: a thread of its own; so far" in text,
            f"top shows compaction at work: up to {max(rates, default=0)} objects/s, and who moves them",
            rates,
        )
        sofar = [int(n) for n in re.findall(r"so far (\d+) objects?, ", text)]
        tap(sofar == sorted(sofar) and len(sofar) == 12, "top: what has been moved so far only grows", sofar)
    with Work("moving", options="compaction:off") as w:
        text = tool("top", "--count", 3, "--interval", 0.05, w.pid)[1]
        tap(
            objects_per_second(text) == [0, 0, 0] and text.count("mover: never; so far 0 objects, 0 B, in 0 batc") == 3,
            "control: without compaction nothing moves, and top says so",
            text,
        )


def check_top_classes():
    """The columns of a class are the figures of statistics."""
    with Work("work", options="compaction:off") as w:
        w.ask("work")
        for _ in range(20):
            before, text, after = stat_of(w.pid), tool("top", "--count", 1, w.pid)[1], stat_of(w.pid)
            if not differences(before["classes"], after["classes"]):
                break
        rows = {(c["heap"], str(c["size"]) if c["kind"] != "large" else "large"): c for c in before["classes"]}
        wrong, compared = [], 0
        for line in text.split("\n  class ", 1)[-1].splitlines()[1:]:
            found = re.match(
                r"  (raw|movable) +(\S+) +(\d+) +(\S+) +" + r"(\S+ [KMG]?i?B) +" * 5 + r"\d+ %$", line
            )
            if found is None:
                continue
            compared += 1
            row = rows[found[1], found[2]]
            for figure, shown in zip(("live", "cached", "stranded", "empty", "resident"), found.groups()[4:]):
                if not same_size(shown, row[figure]):
                    wrong.append((line, figure, shown, row[figure]))
        tap(wrong == [] and compared == 10, f"top: live, cached, stranded, empty of {compared} classes", text, *wrong)
        tap(not same_size("100 KiB", 120000) and not same_size("4096 B", 4097), "control: another figure is noticed")


def same_size(shown, nbytes):
    number, unit = shown.split()
    scale = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[unit]
    return abs(float(number) * scale - nbytes) <= (0 if unit == "B" else 0.5 if "." not in number else 0.05) * scale


def check_refusals():
    def refused(name, status_wanted, text, *words, command=()):
        status, out, err = tool(*words, command=command)
        good = (
            status == status_wanted and out == "" and text in err and err.count("\n") == 1 and err.startswith("tinymem")
        )
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
    refused("a count of none", 2, "--count takes 1 or more", "top", "--count", "0", os.getpid())
    refused("two texts for one output", 2, "both want the output", "map", "--json", "--html", "-", os.getpid())
    refused("one file to compare", 2, "the second is missing", "map", "--compare", "a")
    refused("no files to compare", 2, "--compare takes two files", "map", "--compare")
    refused("three files to compare", 2, "one word too many: c", "map", "--compare", "a", "b", "c")
    refused("the input twice", 2, "only one of the two files", "map", "--compare", "-", "-")
    refused("files to compact", 2, "--compact needs a process", "map", "--compare", "--compact", "a", "b")
    refused("a time to wait for nothing", 2, "--wait goes with --compact", "map", "--wait", "5", os.getpid())
    refused("a time that is none", 2, "is not a number of milliseconds", "map", "--compact", "--wait", "x", os.getpid())
    refused("a file that is not there", 1, "/no/such cannot be read", "map", "--compare", "/no/such", "/no/such")
    refused("a colour that is none", 2, "--color takes", "map", "--color", "red", os.getpid())
    with Work("stripped") as w:
        refused("a stripped static program", 1, "does not run on tinymem", "stat", w.pid)
    with Work("work") as w:
        refused(
            "a library that is not there",
            1,
            'no tinymem in a file with "/no/such/" in its path',
            "stat",
            "--library",
            "/no/such/",
            w.pid,
        )
        if os.geteuid() == 0:
            user = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
            os.chmod(SCRATCH, 0o755)
            refused("another user's process", 1, "no right to look into process", "stat", w.pid, command=user)
        else:
            skip("refused in one line: another user's process", "only root can become another user")
    check_layout(refused)
    check_builds(refused)


def check_builds(refused):
    """A library for checking has other records: its own tool reads them."""
    checked = os.path.join(os.path.dirname(TOOL), "../check")
    with Work("work", command=("env", "LD_LIBRARY_PATH=" + os.path.join(SCRATCH, "check"))) as w:
        refused(
            "a library for checking", 1, "was built otherwise than this tool: one of them for checking", "stat", w.pid
        )
        w.ask("work")
        done = subprocess.run([checked + "/tinymem", "map", "--json", str(w.pid)], capture_output=True, text=True)
        seen = json.loads(done.stdout) if done.returncode == 0 else {"rows": [], "statistics": {"classes": [1]}}
        good = done.returncode == 0 and map_faults(seen["rows"], seen["statistics"]["classes"]) == []
        tap(good, "the tool of a build for checking reads its library", done.stderr, seen["rows"][:2])


def check_layout(refused):
    """The same library with one number changed, the version or the stamp, is not read."""
    library = os.path.join(SCRATCH, "libtinymem.so.0")
    with open(library, "rb") as f:
        whole = f.read()
    at = whole.index(b"tinymem\0\1\0\0\0")
    for name, offset, text in (
        ("another layout", 8, "in layout 2"),
        ("records of other sizes", None, "was built otherwise"),
    ):
        changed = bytearray(whole)
        if offset is not None:
            changed[at + offset] = 2
        else:
            facts = at + int.from_bytes(whole[at + 16 : at + 20], "little", signed=True)
            changed[facts] ^= 1
        folder = os.path.join(SCRATCH, "changed" + str(offset))
        os.mkdir(folder)
        with open(os.path.join(folder, "libtinymem.so.0"), "wb") as f:
            f.write(changed)
        with Work("work", command=("env", "LD_LIBRARY_PATH=" + folder)) as w:
            refused(name, 1, text, "stat", w.pid)


def main():
    check_quiet("work", "libtinymem.so")
    check_quiet("handles", "libtinymem-handles.so")
    check_quiet("archive", "libtinymem.a")
    check_quiet("static", "libtinymem.a in a static program")
    check_map("work", "libtinymem.so")
    check_map("static", "a static program")
    check_mixed()
    check_pinned()
    check_compare()
    check_holders()
    check_requests()
    check_doctor()
    check_top()
    check_top_mover()
    check_top_classes()
    check_no_trace()
    check_real()
    check_moving()
    check_garbage()
    check_busy()
    check_places()
    check_files()
    check_namespaces()
    check_refusals()


main()
