"""figures.py - stat and map: what they say must be what the process says about itself, and add up."""
import html.parser
import json
import os
import shutil
import subprocess
import time

from kit import ADDENDS, FULL, SCRATCH, TOOL, Work, differences, skip, smaps_sum, stat_of, sum_faults, tap, tool


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


def check_mixed():
    """Slabs that blocks of several sizes share: their rows hold what statistics count with the sizes."""
    with Work("work") as w:
        w.ask("mix")
        theirs, ours, look = quiet(w)
        wrong = differences(theirs, ours)
        mixed = [c for c in theirs["classes"] if c["kind"] == "mixed"]
        tap(wrong == [] and look.get("steady"), "mixed slabs: all classes and sums are equal", look, *wrong)
        tap(len(mixed) == 1 and mixed[0]["slabs"] > 10, "control: there are some", mixed)
        figures, seen = quiet_map(w)
        rows = [r for r in seen["rows"] if r["heap"] == "raw"]
        sums = {a: sum(r[a] for r in rows) for a in ADDENDS + ["live_blocks", "cached_blocks"]}
        raw = figures["heaps"]["raw"]
        tap(sums == {a: raw[a] for a in sums}, "mixed slabs: the rows of the map sum up to the heap", sums, raw)
        mixed = [r for r in rows if r["kind"] == "mixed"]
        whole = all(sum(r[a] for a in ADDENDS) + r["purged"] == r["bytes"] and r["live_blocks"] > 0 for r in mixed)
        tap(whole and len(mixed) > 10, f"and each of {len(mixed)} to its bytes", *mixed)
        head = next((line for line in tool("map", w.pid)[1].splitlines() if line.startswith("raw mixed: ")), "")
        tap(head.startswith(f"raw mixed: {len(mixed)} rows, "), "the text counts them", head)


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


def map_faults(rows, classes):
    """How the sums of rows differ from the classes of statistics. Blocks in mixed slabs are in rows of these, and in
    statistics with the others of their sizes: then blocks are compared in the sum."""
    faults = []
    blocks = ["live_blocks", "cached_blocks", "live", "cached"]
    shared = {("raw", "small"), ("raw", "mixed")} if any(c["kind"] == "mixed" for c in classes) else set()
    for figure in blocks:
        of = [sum(x[figure] for x in xs if (x["heap"], x["kind"]) in shared) for xs in (rows, classes)]
        if of[0] != of[1]:
            faults.append(("small and mixed", figure, *of))
    for c in classes:
        mine = [r for r in rows if (r["heap"], r["kind"]) == (c["heap"], c["kind"]) and c["size"] in (0, r["size"])]
        here = (c["heap"], c["kind"]) in shared
        for figure in ["stranded", "slack", "books", "empty"] + ([] if here else blocks):
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


def documented_row():
    """The names that the man page gives the figures of a row."""
    path = os.path.join(os.path.dirname(TOOL), "../../preload/man/tinymem.1")
    with open(path, encoding="utf-8") as f:
        section = f.read().split(".Ss The map as JSON", 1)[1].split(".Sh ", 1)[0]
    lines = [line.removeprefix(".It Va ") for line in section.splitlines() if line.startswith(".It Va ")]
    return {name for line in lines for name in line.split(" , Va ")}


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
        names = {name for row in seen["rows"] for name in row}
        tap(names == documented_row(), f"{name}: the names are those of the man page", names ^ documented_row())
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
        for _ in range(20):  # what is free may go meanwhile
            text, seen = tool("map", w.pid)[1], quiet_map(w)[1]
            lines = [line for line in text.splitlines() if line.startswith("  ")]
            if len(lines) == len(seen["rows"]):
                break
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
    check_chromium(name, path, lambda text: html_faults(text, data["rows"]))


def check_chromium(name, path, faults_of):
    """What the browser makes of the file has no faults either."""
    chromium = shutil.which("chromium")
    if not chromium:
        skip(f"{name}: so does Chromium count", "chromium is not installed")
        return
    words = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir=" + SCRATCH + "/chromium"]
    done = subprocess.run([*words, "--dump-dom", "file://" + path], capture_output=True, text=True, timeout=120)
    tap(faults_of(done.stdout) == [], f"{name}: so does Chromium count", *faults_of(done.stdout))


def check_pinned():
    w = subprocess.Popen(
        [os.path.join(SCRATCH, "pinned")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ, TINYMEM="huge:on"),
    )
    wanted = int(w.stdout.readline())
    seen = json.loads(tool("map", "--json", w.pid)[1])
    rows = seen["rows"]
    tap(
        seen["scopes"] == 1 and "1 thread is in a scope" in tool("map", w.pid)[1],
        "a thread in a scope is told",
        seen["scopes"],
    )
    tap(
        sum(r["pinned"] for r in rows) == wanted,
        "the map counts each pinned or locked object once",
        sum(r["pinned"] for r in rows),
        wanted,
    )
    tap(any(r["kind"] == "large" and r["pinned"] for r in rows), "a locked large one among them")
    tap(sum(r["cached_blocks"] for r in rows if r["kind"] == "medium") == 1, "a block on a thread's shelf is cached")
    for _ in range(5):  # the kernel may make one meanwhile
        there = smaps_sum(w.pid, "AnonHugePages")
        rows = json.loads(tool("map", "--json", w.pid)[1])["rows"]
        if sum(r["huge"] or 0 for r in rows) == there:
            break
    if any(r["huge"] is None for r in rows):
        skip("huge pages are those that the kernel counts", "this kernel does not tell where they are")
    elif there == 0:
        skip("huge pages are those that the kernel counts", "the kernel makes none")
    else:
        here = sum(r["huge"] for r in rows)
        tap(here == there, f"huge pages are those that the kernel counts, {here >> 20} MiB", here, there)
    tap(tool("map", w.pid)[1].count(" pinned ") == sum(r["pinned"] > 0 for r in rows), "the text marks their slabs")
    w.communicate("")


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
