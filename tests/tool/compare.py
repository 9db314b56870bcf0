"""compare.py - two maps: what has changed must be the difference of what each of them says."""
import json
import os
import re
import subprocess
import sys
import time

from kit import ADDENDS, FULL, SCRATCH, SLEEPER, TOOL, Work, on_tinymem, stat_of, tap, tool
from figures import check_chromium, html_counts


def written(name, text):
    path = os.path.join(SCRATCH, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def totals_of(seen):
    heaps = seen["statistics"]["heaps"].values()
    totals = {name: sum(heap[name] for heap in heaps) for name in ("live", "cached", "stranded", "empty")}
    for name in ("resident", "mapped", "metadata", "purged", "moved", "batches"):
        totals[name] = seen["statistics"][name]
    return {"rows": len(seen["rows"]), **totals}


def classes_of(seen):
    classes = {}
    for row in seen["rows"]:
        free = row["kind"] == "free" and row["empty"] > 0
        key = (row["heap"], row["kind"], 0 if row["kind"] == "large" else row["size"], free)
        c = classes.setdefault(key, {"rows": 0, "live_blocks": 0, "live": 0, "stranded": 0, "resident": 0})
        c["rows"] += 1
        c["resident"] += row["bytes"] - row["purged"]
        for name in ("live_blocks", "live", "stranded"):
            c[name] += row[name]
    return classes


def pair_faults(pair, before, after):
    """What a comparison says that the two maps do not, or the other way round."""
    change, faults = dict(pair["change"]), []
    classes = change.pop("classes")
    wanted = {name: [a, b] for (name, a), b in zip(totals_of(before).items(), totals_of(after).values())}
    faults += [(name, change.get(name), wanted[name]) for name in wanted if change.get(name) != wanted[name]]
    sides = classes_of(before), classes_of(after)
    if len(classes) != len(sides[0].keys() | sides[1].keys()):
        faults.append(("classes", len(classes), len(sides[0].keys() | sides[1].keys())))
    for name in ("rows", "live_blocks", "live", "stranded", "resident"):
        for side in (0, 1):
            said, there = sum(c[name][side] for c in classes), sum(c[name] for c in sides[side].values())
            if said != there:
                faults.append((name, side, said, there))
    known = {key[:3]: [0, 0] for key in sides[0].keys() | sides[1].keys()}
    for side in (0, 1):
        for key, c in sides[side].items():
            known[key[:3]][side] += c["live"]
    for c in classes:
        if c["heap"] != "spans" and c["live"] != known.get((c["heap"], c["kind"], c["size"])):
            faults.append(("live", c))
    return faults


def check_files(before, after):
    paths = [written(name, json.dumps(seen)) for name, seen in (("before.json", before), ("after.json", after))]
    status, out, err = tool("map", "--compare", "--json", *paths)
    pair = json.loads(out) if status == 0 else {}
    wrong = pair_faults(pair, before, after) if pair else [err]
    count = f"{len(before['rows'])} and {len(after['rows'])}"
    tap(wrong == [], f"two maps of {count} rows: changes are differences", *wrong)
    same = pair and [r for r in pair["before"]["rows"]] == before["rows"]
    tap(same and pair["after"] == after, "a map that was read is written again as it was", err)
    changed = json.loads(json.dumps(after))
    del changed["rows"][-1]
    tap(pair_faults(pair, before, changed) != [], "control: a row less is noticed")
    text = tool("map", "--compare", *paths)[1]
    lines = [line for line in text.splitlines() if re.match(r"  (raw|movable|spans) ", line)]
    as_before = re.search(r"\((\d+) class(?:es are| is) as before\)", text)
    unchanged = int(as_before[1]) if as_before else 0
    tap(
        len(lines) + unchanged == len(pair["change"]["classes"]) and len(lines) > 10 and "\033" not in text,
        f"the text has a line for each of {len(lines)} classes that changed",
        len(lines),
        unchanged,
        text,
    )
    text = tool("map", "--compare", paths[1], paths[1])[1]
    tap(
        f"({len(classes_of(after))} classes are as before)" in text and not re.search(r"^  (raw|movable) ", text, re.M),
        "control: between a map and itself nothing has changed",
        text,
    )
    done = subprocess.run(
        [TOOL, "map", "--compare", "--json", "-", paths[1]], input=json.dumps(before), capture_output=True, text=True
    )
    tap(done.stdout == out, "one of the two can be the input", done.stderr)
    check_html(paths, pair)


def sides_of(text):
    """The picture, one side after the other."""
    picture = text.split('<svg id="map"', 1)[1].split("</svg>", 1)[0]
    return picture.split('<g id="before">', 1)[1].split('<g id="after">', 1)


def pair_html_faults(text, pair):
    faults = []
    for side, name in zip(sides_of(text), ("before", "after")):
        counts, rows = html_counts(side), pair[name]["rows"]
        wanted = {("g", "row"): len(rows), ("circle", "pinned"): sum(r["pinned"] > 0 for r in rows)}
        wanted.update({("rect", key): sum(r[key] > 0 for r in rows) for key in ADDENDS + ["purged"]})
        faults += [(name, what, counts.get(what, 0), n) for what, n in wanted.items() if counts.get(what, 0) != n]
    figures = html_counts(text).get(("tr", "figure"), 0)
    return faults + ([("figures", figures)] if figures != len(pair["change"]) - 1 else [])


def check_html(paths, pair):
    path = os.path.join(SCRATCH, "pair.html")
    status, _, err = tool("map", "--compare", *paths, "--html", path)
    with open(path, encoding="utf-8") as f:
        text = f.read()
    data = json.loads(text.split('id="data">', 1)[1].split("</script>", 1)[0])
    wrong = pair_html_faults(text, pair)
    tap(status == 0 and data == pair and wrong == [], "the bars of both sides are those of the two maps", err, *wrong)
    tap(pair_html_faults(text.replace('"row ', '"now ', 1), pair) != [], "control: a bar less is noticed")
    places = [
        {re.search(r"0x[0-9a-f]+", bar)[0]: re.search(r"translate\((\d+) (\d+)\)", bar).groups() for bar in bars}
        for bars in (side.split('<g class="row ')[1:] for side in sides_of(text))
    ]
    both = places[0].keys() & places[1].keys()
    apart = [a for a in both if places[0][a][1] != places[1][a][1] or places[0][a][0] == places[1][a][0]]
    tap(both and apart == [], f"{len(both)} addresses that both have stand side by side", *apart)
    tap(not any(mark in text for mark in ("src=", "href=", "@import", "url(")), "the HTML of two needs no other file")
    check_chromium("two maps", path, lambda dom: pair_html_faults(dom, pair) if "after</text>" in dom else ["nothing"])


def check_broken_files(seen):
    """Files that are none, cut off, or changed: one line, or a comparison of what is there."""
    whole = json.dumps({**seen, "rows": seen["rows"][:40]})
    good = written("good.json", whole)
    cases = {"empty": "", "no JSON": "hello", "another schema": whole.replace('"schema": 1', '"schema": 7', 1)}
    cases["no rows"] = whole.replace('"rows"', '"sows"')
    cases["a row without bytes"] = re.sub(r'"bytes": \d+', '"bytes": 0', whole, count=1)
    cases["more live than bytes"] = re.sub(r'"live": \d+, "cached": ', '"live": 99999999999, "cached": ', whole)
    for name, text in cases.items():
        status, out, err = tool("map", "--compare", good, written("bad.json", text))
        tap(
            status == 1 and out == "" and err.count("\n") == 1 and "bad.json" in err,
            f"refused in one line: a file with {name}",
            status,
            out[:200],
            err,
        )
    bad, cuts = [], 400 if FULL else 60
    for i in range(cuts):
        at = i * len(whole) // cuts
        text = whole[:at] if i % 2 else whole[:at] + '"[{}],:\\'[i // 2 % 8] + whole[at + 1 :]
        status, _, err = tool("map", "--compare", written("cut.json", text), good)
        if status not in (0, 1) or (status == 1) != (err.count("\n") == 1):
            bad.append((i, status, err))
    tap(bad == [], f"{cuts} files that are cut off or changed: each is compared or refused in a line", *bad)
    status, out, err = tool("map", "--compare", good, good)
    tap(status == 0 and err == "", "control: the file as it was is compared", err)


def moved(pair):
    return pair["change"]["moved"][1] - pair["change"]["moved"][0]


def check_compact():
    with Work("holes") as w:
        time.sleep(0.2)
        before = stat_of(w.pid)
        time.sleep(0.3)
        at_rest = stat_of(w.pid)["moved"] == before["moved"]
        status, out, err = tool("map", "--compact", "--json", "--wait", 10000, w.pid)
        pair = json.loads(out) if status == 0 else {}
        tap(
            status == 0 and at_rest and moved(pair) > 100000 and pair_faults(pair, pair["before"], pair["after"]) == [],
            f"map --compact: a busy program's objects are moved, {moved(pair) >> 10 if pair else 0} KiB",
            at_rest,
            err,
            pair.get("change"),
        )
        text = tool("map", "--compact", "--wait", 500, w.pid)[1]
        tap(text.startswith("before: as it was (holes, process "), "and shown as text", text[:300])
    with Work("holes", options="compaction:off") as w:
        pair = json.loads(tool("map", "--compact", "--json", w.pid)[1])
        tap(moved(pair) == 0, "control: without compaction nothing is moved", pair["change"])
    with Work(command=on_tinymem(sys.executable, "-c", SLEEPER)) as w:
        text = tool("map", "--compact", "--wait", 20, w.pid)[1]
        tap("the request was not served within 20 ms" in text, "a program that sleeps: so it is said", text[:300])


def check_compare():
    with Work("work", options="compaction:off") as w:
        before = json.loads(tool("map", "--json", w.pid)[1])
        w.ask("work")
        first = json.loads(tool("map", "--json", w.pid)[1])
        w.ask("mix")
        second = json.loads(tool("map", "--json", w.pid)[1])
    check_files(first, second)
    paths = written("a", json.dumps(before)), written("b", json.dumps(first))
    nothing = pair_faults(json.loads(tool("map", "--compare", "--json", *paths)[1]), before, first)
    tap(nothing == [], "from a heap that holds nothing yet", *nothing)
    check_broken_files(first)
    check_compact()
