"""tool.py SCRATCH - looks of the tool into processes: what it says must be what they say of themselves.

Each check has a control: a figure that is off by one, or a process that is none of ours, must be noticed.
"""
import fcntl
import html.parser
import json
import os
import pty
import select
import shutil
import struct
import subprocess
import sys
import termios
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
    """Where two JSON values differ, but for the clock."""
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


# ---- stat ------------------------------------------------------------------------------------------------------------


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
        tap(
            differences(theirs, ours) == [],
            f"{name}: before any work the figures are equal",
            *differences(theirs, ours),
        )
        w.ask("work")
        theirs, ours, look = quiet(w)
        wrong = differences(theirs, ours)
        tap(
            wrong == [] and look.get("steady"),
            f"{name}: all {len(theirs['classes'])} classes and sums are equal",
            look,
            *wrong,
        )
        tap(sum_faults(ours) == [], f"{name}: sums are those of the rows", *sum_faults(ours))
        ours["heaps"]["raw"]["live"] += 1
        tap(len(differences(theirs, ours)) == 1, f"control: {name}: a byte more is noticed")
        status, out, err = tool("stat", w.pid)
        tap(status == 0 and err == "" and len(out.splitlines()) <= 30, f"{name}: the text is one screen", out, err)


def check_busy():
    looks, torn, repeated, unsteady, wrong = 400 if FULL else 150, 0, 0, 0, []
    with Work("work", "churn") as w:
        for _ in range(looks):
            figures = stat_of(w.pid)
            if "error" in figures:
                wrong.append(figures)
                continue
            torn += figures["look"]["read_again"]
            repeated += figures["look"]["looks"] - 1
            unsteady += not figures["look"]["steady"]
            wrong += sum_faults(figures)
        alive = w.process.poll() is None and w.ask("json") != ""
    tap(
        wrong == [] and alive,
        f"{looks} looks at two busy threads: all add up, the program lives "
        f"({repeated} were repeated, {unsteady} were no snapshot all the same, {torn} records read again)",
        *wrong,
    )
    tap(repeated > 0, "control: not every look at a busy program is taken for a snapshot")


# ---- map -------------------------------------------------------------------------------------------------------------


def map_faults(rows, classes):
    """How the sums of rows differ from the classes of statistics."""
    faults = []
    for c in classes:
        mine = [r for r in rows if (r["heap"], r["kind"]) == (c["heap"], c["kind"]) and c["size"] in (0, r["size"])]
        for figure in ["live_blocks", "cached_blocks"] + ADDENDS:
            if sum(r[figure] for r in mine) != c[figure]:
                faults.append((c["heap"], c["kind"], c["size"], figure, sum(r[figure] for r in mine), c[figure]))
        if c["kind"] != "large" and len(mine) != c["slabs"]:
            faults.append((c["heap"], c["kind"], c["size"], "slabs", len(mine), c["slabs"]))
    known = {(c["heap"], c["kind"], c["size"]) for c in classes}
    for r in rows:
        if r["heap"] != "spans" and (r["heap"], r["kind"], 0 if r["kind"] == "large" else r["size"]) not in known:
            faults.append(("no class", r))
        if r["kind"] == "small" and sum(r[a] for a in ADDENDS) + r["purged"] != r["bytes"]:
            faults.append(("bytes", r))
    return faults


def quiet_map(w):
    for _ in range(100):
        before, out, after = stat_of(w.pid), json.loads(tool("map", "--json", w.pid)[1]), stat_of(w.pid)
        if out["look"]["steady"] and before["look"]["steady"] and not differences(before, after):
            break
        time.sleep(0.1)
    return before, out


def check_map(program, name):
    with Work(program) as w:
        w.ask("work")
        figures, seen = quiet_map(w)
        wrong = map_faults(seen["rows"], figures["classes"])
        tap(wrong == [], f"{name}: {len(seen['rows'])} rows of the map sum up to the statistics", *wrong)
        spans = sum(r["empty"] for r in seen["rows"] if r["heap"] == "spans")
        tap(
            spans == figures["heaps"]["spans"]["resident"]
            and sum(r["bytes"] for r in seen["rows"]) == figures["mapped"],
            f"{name}: so do free spans, and all of it is the address space",
            spans,
            figures["heaps"]["spans"],
            figures["mapped"],
        )
        next(r for r in seen["rows"] if r["kind"] == "small")["live"] += 16
        tap(map_faults(seen["rows"], figures["classes"]) != [], f"control: {name}: a slot more is noticed")
        text = tool("map", w.pid)[1]
        lines = [line for line in text.splitlines() if line.startswith("  ")]
        tap(
            len(lines) == len(seen["rows"]) and "\033" not in text,
            f"{name}: the text has a line for each row, without colours",
            len(lines),
            len(seen["rows"]),
        )
        tap("\033[38;5;" in tool("map", "--color", "always", w.pid)[1], f"{name}: colours when asked for")
        check_html(w, name)


def html_counts(text):
    """What the document has of each element, by its class: as a parser sees it."""
    counts = {}

    class Counter(html.parser.HTMLParser):
        def handle_starttag(self, tag, attrs):
            for name in (dict(attrs).get("class") or "").split():
                counts[tag, name] = counts.get((tag, name), 0) + 1

    Counter().feed(text)
    return counts


def html_faults(text, rows):
    counts, keys = html_counts(text), ADDENDS + ["purged"]
    wanted = {
        ("g", "row"): len(rows),
        ("circle", "pinned"): sum(r["pinned"] > 0 for r in rows) + 1,
        ("rect", "huge"): sum((r["huge"] or 0) > 0 for r in rows) + 1,
    }
    wanted.update({("rect", key): sum(r[key] > 0 for r in rows) + 1 for key in keys})  # one more in the legend
    for kind in ("small", "medium", "large", "free"):
        wanted["g", kind] = sum(r["kind"] == kind for r in rows)
    return [(what, counts.get(what, 0), n) for what, n in wanted.items() if counts.get(what, 0) != n]


def check_html(w, name):
    path = os.path.join(SCRATCH, "map.html")
    status, _, err = tool("map", "--html", path, w.pid)
    with open(path, encoding="utf-8") as f:
        text = f.read()
    data = json.loads(text.split('id="data">', 1)[1].split("</script>", 1)[0])
    tap(
        status == 0 and html_faults(text, data["rows"]) == [],
        f"{name}: the elements of the HTML are those of its JSON",
        err,
        *html_faults(text, data["rows"]),
    )
    tap(
        html_faults(text.replace('<g class="row', '<g class="now', 1), data["rows"]) != [],
        f"control: {name}: a bar less is noticed",
    )
    tap(not any(mark in text for mark in ("src=", "href=", "@import", "url(")), f"{name}: the HTML needs no other file")
    chromium = shutil.which("chromium")
    if not chromium:
        skip(f"{name}: so does Chromium count", "chromium is not installed")
        return
    done = subprocess.run(
        [
            chromium,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--user-data-dir=" + SCRATCH + "/chromium",
            "--dump-dom",
            "file://" + path,
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    tap(
        html_faults(done.stdout, data["rows"]) == [],
        f"{name}: so does Chromium count",
        *html_faults(done.stdout, data["rows"]),
    )


def smaps_sum(pid, key):
    with open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace") as f:
        return sum(int(line.split()[1]) * 1024 for line in f if line.startswith(key + ":"))


def check_pinned():
    w = subprocess.Popen(
        [os.path.join(SCRATCH, "pinned")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ, TINYMEM="huge:on"),
    )
    wanted = int(w.stdout.readline())
    rows = json.loads(tool("map", "--json", w.pid)[1])["rows"]
    tap(
        sum(r["pinned"] for r in rows) == wanted,
        "the map counts each pinned or locked object once",
        sum(r["pinned"] for r in rows),
        wanted,
    )
    tap(any(r["kind"] == "large" and r["pinned"] for r in rows), "a locked large one among them")
    tap(sum(r["cached_blocks"] for r in rows if r["kind"] == "medium") == 1, "a block on a thread's shelf is cached")
    there = smaps_sum(w.pid, "AnonHugePages")
    if any(r["huge"] is None for r in rows):
        skip("huge pages are those that the kernel counts", "this kernel does not tell where they are")
    elif there == 0:
        skip("huge pages are those that the kernel counts", "the kernel makes none")
    else:
        here = sum(r["huge"] for r in rows)
        tap(here == there, f"huge pages are those that the kernel counts, {here >> 20} MiB", here, there)
    tap(tool("map", w.pid)[1].count(" pinned ") == sum(r["pinned"] > 0 for r in rows), "the text marks their slabs")
    w.communicate("")


# ---- requests --------------------------------------------------------------------------------------------------------


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
        status, out, err = tool("trim", w.pid)
        tap(status == 0 and out.startswith("served: "), "a busy program serves it at once", out, err)
        status, out, err = tool("profile", w.pid)
        tap(
            (status == 1 and "keeps no profile" in err) or out.startswith("served: "),
            "a profile is asked for in the same way, or refused in a line",
            status,
            out,
            err,
        )
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


# ---- real programs ---------------------------------------------------------------------------------------------------


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


def check_moving():
    """Slabs that are made, emptied and given back during the look: what is torn is read again, and what fits, fits."""
    looks, steady, torn, left_out, wrong = 400 if FULL else 100, 0, 0, 0, []
    with Work("moving") as w:
        for _ in range(looks):
            status, out, err = tool("map", "--json", w.pid)
            seen = json.loads(out) if status == 0 else {}
            torn += seen["look"]["read_again"] if seen else 0
            left_out += seen["look"]["left_out"] if seen else 0
            if status != 0:
                wrong.append(err)
            elif seen["look"]["steady"]:
                steady += 1
                wrong += map_faults(seen["rows"], seen["statistics"]["classes"])
        alive = w.process.poll() is None
    tap(
        wrong == [] and alive,
        f"{looks} maps of a heap that is compacted: the rows of each of the {steady} snapshots sum up "
        f"({torn} records were read again, {left_out} left out)",
        *wrong,
    )
    tap(torn > 0 and steady > 0, "control: there were torn records, and snapshots", torn, steady)


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
            looks = [subprocess.Popen([TOOL, *words, str(w.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                      text=True) for words in (["stat"], ["map"], ["trim"], ["doctor"])]
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


def main():
    check_quiet("work", "libtinymem.so")
    check_quiet("handles", "libtinymem-handles.so")
    check_quiet("archive", "libtinymem.a")
    check_quiet("static", "libtinymem.a in a static program")
    check_map("work", "libtinymem.so")
    check_map("static", "a static program")
    check_pinned()
    check_requests()
    check_doctor()
    check_top()
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
