"""stats.py SCRATCH MANPAGE - what tm_stats_json, tm_stats_prometheus, malloc_info and the options stats* print.

The names are compared with those of the man page, the sums with each other and with /proc/PID/smaps. Each check has a
control: the same check must refuse a doctored text.
"""
import copy
import json
import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree

SCRATCH, MANPAGE = sys.argv[1:3]
WORK = os.path.join(SCRATCH, "work")
ADDENDS = ["live", "cached", "stranded", "slack", "books", "empty"]
PATIENCE = 60  # seconds: only a failure takes so long


def tap(good, name, *why):
    print(("ok - " if good else "not ok - ") + name, flush=True)
    for line in why[:5] if not good else ():
        print("#   " + str(line)[:2000], flush=True)


class Work:
    """The program, with options; it answers questions."""

    def __init__(self, options="", mode="", command=(), program=WORK):
        env = dict(os.environ, TINYMEM=options)
        self.process = subprocess.Popen([*command, program, mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env=env, text=True)
        self.pid = self.process.pid
        self.ready = self.process.stdout.readline() == "ready\n"

    def ask(self, question, last=lambda line: True):
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        lines = [self.process.stdout.readline()]
        while lines[-1] and not last(lines[-1]):
            lines.append(self.process.stdout.readline())
        return "".join(lines)

    def end(self):
        """Its exit status and stderr."""
        try:
            said = self.process.communicate(timeout=PATIENCE)[1]
        except subprocess.TimeoutExpired:
            self.process.kill()
            return "it hung", self.process.communicate()[1]
        return self.process.returncode, said


def smaps_rss(pid):
    with open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace") as f:
        return sum(int(line.split()[1]) * 1024 for line in f if line.startswith(("Rss:", "Swap:")))


def wait_for(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def lines_of(path):
    try:
        with open(path, encoding="utf-8") as f:
            return f.read().splitlines(keepends=True)
    except FileNotFoundError:
        return []


def whole_lines(path):
    return [line for line in lines_of(path) if line.endswith("\n")]


# ---- the documented schema -------------------------------------------------------------------------------------------


def documented(text):
    """{section: names} of the man page."""
    names, section = {}, None
    for line in text.splitlines():
        if line.startswith((".Ss ", ".Sh ")):
            section = line[4:]
        elif line.startswith(".It Va ") and section is not None:
            names.setdefault(section, set()).update(line.removeprefix(".It Va ").split(" , Va "))
    return names


def schema_faults(doc, figures):
    """How a JSON object differs from the man page."""
    faults = []

    def compare(what, got, wanted):
        if set(got) != wanted:
            faults.append(f"{what}: {sorted(set(got) ^ wanted)}")

    compare("top", figures, doc["Of all"] | doc["JSON"])
    compare("heaps", figures["heaps"], {"raw", "movable", "spans"})
    for name, heap in figures["heaps"].items():
        compare(name, heap, doc["Of a heap"])
    for row in figures["classes"]:
        compare("class", row, doc["Of a size class"])
        if row["kind"] not in ("small", "medium", "large", "mixed") or row["heap"] not in ("raw", "movable"):
            faults.append(f"class: {row}")
    return faults


def sum_faults(figures):
    faults = []
    for name, part in list(figures["heaps"].items()) + [("class", row) for row in figures["classes"]]:
        if sum(part[a] for a in ADDENDS) != part["resident"]:
            faults.append(f"{name}: {part}")
    for name in ("raw", "movable"):
        for figure in ADDENDS + ["resident", "live_blocks", "cached_blocks"]:
            rows = sum(row[figure] for row in figures["classes"] if row["heap"] == name)
            if rows != figures["heaps"][name][figure]:
                faults.append(f"{name}.{figure}: {rows} in classes")
    parts = sum(part["resident"] for part in figures["heaps"].values())
    if parts + figures["metadata"] + figures["table"] != figures["resident"]:
        faults.append("resident")
    return faults


# ---- Prometheus ------------------------------------------------------------------------------------------------------

SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\.)*",?)*)\})? (\S+)$')


def prometheus(text):
    """{series: value}, {metric: type}. ValueError for what the format forbids."""
    series, types, helps, closed, current = {}, {}, set(), set(), None
    if not text.endswith("\n"):
        raise ValueError("the last line has no end")
    for line in text.splitlines():
        if line.startswith("# HELP ") or line.startswith("# TYPE "):
            _, kind, metric, rest = line.split(" ", 3)
            if metric != current and current is not None:
                closed.add(current)
            if metric in closed or metric in (helps if kind == "HELP" else types):
                raise ValueError("twice: " + line)
            current = metric
            if kind == "HELP":
                helps.add(metric)
            else:
                if rest not in ("counter", "gauge") or (rest == "counter") != metric.endswith("_total"):
                    raise ValueError("type: " + line)
                types[metric] = rest
            continue
        match = SAMPLE.match(line)
        if match is None or match[1] != current or match[1] not in types or match[1] not in helps:
            raise ValueError("not a sample of the metric at hand: " + line)
        if f"{match[1]}{{{match[2] or ''}}}" in series:
            raise ValueError("twice: " + line)
        series[f"{match[1]}{{{match[2] or ''}}}"] = float(match[3])
    return series, types


def refused(text):
    try:
        prometheus(text)
        return False
    except ValueError:
        return True


def metric_of(name):
    """The end of the metric's name for a figure's."""
    if name in ("slabs", "live_blocks", "cached_blocks", "free_blocks"):
        return name
    if name in ("failures", "batches"):
        return name + "_total"
    if name in ("mover_mode", "mover_paused"):
        return name
    return name + ("_bytes_total" if name in ("purged", "regretted", "growth_paid", "moved") else "_bytes")


# ---- tests -----------------------------------------------------------------------------------------------------------


def figures_as_text(doc):
    w = Work("compaction:manual")
    before, rss_before = json.loads(w.ask("json")), smaps_rss(w.pid)
    tap(w.ask("work") == "done\n", "the program works")
    rss_after, text = smaps_rss(w.pid), w.ask("json")
    figures = json.loads(text)
    tap(text.count("\n") == 1 and figures["pid"] == w.pid and figures["schema"] == 1, "JSON is one line")
    tap(schema_faults(doc, figures) == [], "its names are the documented ones", *schema_faults(doc, figures))
    tap(sum_faults(figures) == [], "its figures add up", *sum_faults(figures))
    grown, said = rss_after - rss_before, figures["resident"] - before["resident"]
    tap(abs(grown - said) <= grown * 0.02, "and to what smaps says, within 2 %", grown, said, figures["heaps"])
    for heap, name in (("raw", "stranded"), ("raw", "live"), ("movable", "stranded")):
        left_out = said - figures["heaps"][heap][name]
        tap(abs(grown - left_out) > grown * 0.02, f"control: without {heap}.{name} they do not", grown, left_out)
    less = copy.deepcopy(figures)
    del less["classes"][0]["slack"]
    more = copy.deepcopy(figures)
    more["heaps"]["raw"]["new"] = 1
    tap(schema_faults(doc, less) != [] and schema_faults(doc, more) != [], "control: a name more or less is noticed")
    wrong = copy.deepcopy(figures)
    wrong["classes"][-1]["live"] += 1
    tap(sum_faults(wrong) != [], "control: a sum that is off by one is noticed")
    prometheus_as_documented(doc, w, figures)
    info_has_the_same(w, figures)
    tap(w.end() == (0, ""), "the program ends well, and in silence")


def prometheus_as_documented(doc, w, figures):
    text = w.ask("prometheus", lambda line: 'tinymem_class_resident_bytes{heap="movable",kind="small"' in line and
                 f'size="{max(r["size"] for r in figures["classes"] if r["heap"] == "movable")}"' in line)
    series, types = prometheus(text)
    wanted = {"tinymem_" + metric_of(n) for n in doc["Of all"]}
    wanted |= {"tinymem_heap_" + metric_of(n) for n in doc["Of a heap"]}
    wanted |= {"tinymem_class_" + metric_of(n) for n in doc["Of a size class"] - {"heap", "kind", "size"}}
    tap(set(types) == wanted, "Prometheus: the metrics are the documented ones", sorted(set(types) ^ wanted))
    same = all(series[f'tinymem_heap_{metric_of(n)}{{heap="{h}"}}'] == figures["heaps"][h][n]
               for h in ("raw", "movable") for n in ("live", "stranded", "live_blocks"))
    tap(same, "Prometheus: the figures are those of JSON")
    tap('tinymem_heap_requested_bytes{heap="raw"}' not in series, "Prometheus: what is unknown is left out")
    lines = text.splitlines(keepends=True)
    doctored = {
        "a metric in two pieces": text + lines[0] + lines[1] + lines[2],
        "a sample twice": lines[0] + lines[1] + lines[2] + lines[2],
        "a sample without a type": lines[0] + lines[2],
        "a label without quotes": text.replace('heap="raw"', "heap=raw", 1),
        "a counter without _total": text.replace("_total", "", 3),
        "a text that was cut": text[:-1],
    }
    for name, bad in doctored.items():
        tap(refused(bad), "control: " + name + " is noticed")


def info_has_the_same(w, figures):
    root = xml.etree.ElementTree.fromstring(w.ask("info", lambda line: line == "</malloc>\n"))
    for heap in root.findall("heap"):
        part = figures["heaps"][heap.get("type")]
        sums = {t.get("type"): int(t.get("size")) for t in heap.findall("total")}
        wanted = {a: part[a] for a in ADDENDS + ["resident"]}
        tap(sums == wanted, f"malloc_info: the sums of {heap.get('type')}", sums, wanted)
        names = {"small": "class", "medium": "medium", "mixed": "mixed"}
        rows = {(c.tag, int(c.get("size"))): int(c.get("resident")) for c in heap if c.tag in names.values()}
        same = {(names[r["kind"]], r["size"]): r["resident"] for r in figures["classes"]
                if r["heap"] == heap.get("type") and r["kind"] != "large"}
        tap(rows == same, f"malloc_info: the classes of {heap.get('type')}")
    system = {s.get("type"): int(s.get("size")) for s in root.findall("system")}
    same = all(system[n] == figures[n] for n in ("mapped", "metadata", "purged", "resident", "table"))
    tap(same, "malloc_info: the rest", system)


def movable_heap_alone(doc):
    w = Work("compaction:manual", program=os.path.join(SCRATCH, "handles"))
    tap(sum_faults(json.loads(w.ask("json"))) == [], "libtinymem-handles: before the first handle there are figures")
    w.ask("work")
    figures = json.loads(w.ask("json"))
    faults = schema_faults(doc, figures) + sum_faults(figures)
    heaps = figures["heaps"]
    tap(faults == [] and heaps["raw"]["live"] == 0 and heaps["movable"]["live_blocks"] == 12500,
        "libtinymem-handles: the same figures, of its own heap", *faults, heaps)
    tap(w.end() == (0, ""), "libtinymem-handles: the program ends well")


def at_exit(doc):
    path = os.path.join(SCRATCH, "exit-%p")
    w = Work("stats:json,stats_file:" + path, "fork")
    status, said = w.end()
    files = [f for f in os.listdir(SCRATCH) if f.startswith("exit-")]
    texts = [json.loads("".join(lines_of(os.path.join(SCRATCH, f)))) for f in files]
    tap((status, said) == (0, "") and sorted(f"exit-{t['pid']}" for t in texts) == sorted(files) and len(files) == 2,
        "stats:json at exit: a file for each process, parent and child", status, said, files)
    tap(all(schema_faults(doc, t) == [] for t in texts), "stats:json at exit: as documented")
    path = os.path.join(SCRATCH, "replaced.prom")
    for _ in range(2):
        Work("stats:prometheus,stats_file:" + path, "free").end()
    _, types = prometheus("".join(lines_of(path)))
    left = [f for f in os.listdir(SCRATCH) if f.startswith("replaced.prom.")]
    tap(len(types) > 20 and not left, "stats:prometheus at exit: the file is replaced, and no other is left", left)
    status, said = Work("stats:json", "free").end()
    tap(status == 0 and schema_faults(doc, json.loads(said)) == [], "stats:json without a file: on stderr")
    status, said = Work("stats:on", "free").end()
    tap(status == 0 and re.fullmatch(r"tinymem: pid=\d+ cmd=work allocs=.*\n", said) is not None,
        "stats:on still is the summary line", said)


def on_a_signal():
    path = os.path.join(SCRATCH, "signal.json")
    w = Work("stats_signal:12,stats_file:" + path)
    for n in (1, 2):
        os.kill(w.pid, signal.SIGUSR2)  # it sleeps in read
        answered = wait_for(lambda n=n: len(whole_lines(path)) == n)
        tap(answered, f"a program that sleeps answers signal {n}", lines_of(path))
    tap(w.end() == (0, "") and len(lines_of(path)) == 2, "and ends well, without another line")
    path = os.path.join(SCRATCH, "storm.json")
    w = Work("stats_signal:12,stats_file:" + path, "churn")
    for _ in range(200):
        os.kill(w.pid, signal.SIGUSR2)
        time.sleep(0.001)
    answered = wait_for(lambda: len(whole_lines(path)) > 20)
    tap(answered, "signals in a storm of allocations are answered", len(lines_of(path)))
    status, said = w.end()
    faults = [f for line in whole_lines(path) for f in sum_faults(json.loads(line))]
    tap((status, said, faults) == (0, "", []), "and each answer adds up", status, said, *faults[:3])


def forks_meanwhile():
    path = os.path.join(SCRATCH, "forks.json")
    status, said = Work("stats:json,stats_signal:12,stats_interval:1,stats_file:" + path, "forks").end()
    texts = [json.loads(line) for line in lines_of(path)]
    faults = [f for text in texts for f in sum_faults(text)]
    tap((status, said, faults) == (0, "", []), "forks and signals in a storm of allocations", status, said, *faults[:3])
    tap(len({text["pid"] for text in texts}) == 61, "parent and children have written, each whole lines", len(texts))


def signals_of_others():
    path = os.path.join(SCRATCH, "others.json")
    w = Work("stats_signal:12,stats_file:" + path, "handler")
    os.kill(w.pid, signal.SIGUSR2)
    w.ask("json")
    tap(w.end() == (0, "") and not os.path.exists(path), "a handler that the program sets is the program's")
    w = Work("stats_signal:12,stats_file:" + path, command=["sh", "-c", 'trap "" USR2; exec "$0" "$@"'])
    os.kill(w.pid, signal.SIGUSR2)
    status, said = w.end()
    line = "tinymem: option stats_signal:12 is not used: the signal is ignored, or has a handler"
    tap(status == 0 and said.splitlines().count(line) == 1 and not os.path.exists(path),
        "an ignored signal stays ignored, and one line says so", said)
    for number in (9, 11, 99):
        w = Work(f"stats_signal:{number}")
        status, said = w.end()
        tap((status, said) == (0, f"tinymem: option stats_signal:{number} is not used: no handler can be set for it\n"),
            f"signal {number} is declined in one line", status, said)


def every_so_often():
    path = os.path.join(SCRATCH, "often.json")
    w = Work("stats_interval:1,stats_file:" + path, "churn")
    tap(wait_for(lambda: len(whole_lines(path)) >= 2), "every second", lines_of(path))
    status, said = w.end()
    clocks = [json.loads(line)["clock_ms"] for line in whole_lines(path)]
    apart = [b - a for a, b in zip(clocks, clocks[1:])]
    tap((status, said) == (0, "") and min(apart) >= 900, "and not more often", status, said, apart)


def files_that_cannot_be_written():
    for path, what in (("/nonexistent/x", "cannot open /nonexistent/x for the summary"),
                       ("/dev/full", "cannot write all of /dev/full: statistics are lost")):
        w = Work("stats:json,stats_signal:12,stats_file:" + path)
        for _ in range(3):
            os.kill(w.pid, signal.SIGUSR2)
            w.ask("json")
        status, said = w.end()
        tap((status, said) == (0, f"tinymem: {what}\n"), f"{path}: one line, and the program goes on", status, said)
    place = os.path.join(SCRATCH, "directory")
    os.mkdir(place)
    status, said = Work("stats:prometheus,stats_file:" + place, "free").end()
    tap((status, said) == (0, f"tinymem: cannot rename a file to {place}: statistics are lost\n"),
        "a directory in the file's place: one line", status, said)


def main():
    with open(MANPAGE, encoding="utf-8") as f:
        doc = documented(f.read())
    figures_as_text(doc)
    movable_heap_alone(doc)
    at_exit(doc)
    on_a_signal()
    forks_meanwhile()
    signals_of_others()
    every_so_often()
    files_that_cannot_be_written()


main()
