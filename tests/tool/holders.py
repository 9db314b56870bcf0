"""holders.py - who keeps stranded memory: what the map says must be what the profile's own report says."""
import json
import os
import re
import shutil

from kit import FULL, SCRATCH, Work, skip, tap, tool
from processes import trace_of

SITES = {208: "site_many", 400: "site_some", 1008: "site_few"}
MIB = 1 << 20


def options(interval, name="/dev/null", form="words"):
    return f"profile:on,profile_interval:{interval},profile_format:{form},profile_file:{name},compaction:off"


def map_of(w, *words):
    status, out, err = tool("map", "--json", *words, w.pid)
    return json.loads(out) if status == 0 else {"error": err, "rows": [], "holders": None}


def site_of(seen, row):
    """The innermost frame of who holds a row."""
    return seen["holders"]["sites"][row["holder"]["site"]]["stack"][0] if row["holder"] else None


def size_site(row):
    """The site whose blocks a row of such slots has, by its size."""
    if row["heap"] != "raw" or row["kind"] != "small":
        return None
    return next((site for size, site in SITES.items() if abs(row["size"] - size) <= 24), None)


def holder_faults(seen, known=size_site):
    """What of the holders does not fit the rows; known(row) is the site that a row must have, or None."""
    faults, holders = [], seen["holders"]
    if holders is None:
        return ["no holders"]
    stranded = sum(r["stranded"] for r in seen["rows"] if r["kind"] in ("small", "mixed") and r["heap"] == "raw")
    if holders["stranded"] != stranded or holders["kept"] > stranded:
        faults.append(("stranded", holders["stranded"], holders["kept"], stranded))
    if sum(s["bytes"] for s in holders["sites"]) != holders["kept"]:
        faults.append(("kept", holders["kept"], [s["bytes"] for s in holders["sites"]]))
    for row in seen["rows"]:
        if row["holder"] is None:
            continue
        if not 0 < row["holder"]["bytes"] <= row["stranded"] or row["heap"] != "raw" or row["holder"]["samples"] == 0:
            faults.append(row)
        if known(row) not in (None, site_of(seen, row)):
            faults.append((known(row), site_of(seen, row), row))
    return faults


def kept_by(seen):
    """Bytes by the innermost frame."""
    kept = {}
    for site in seen["holders"]["sites"]:
        kept[site["stack"][0]] = kept.get(site["stack"][0], 0) + site["bytes"]
    return kept


def report_of(path):
    """The same in the profile's own report: MiB by the innermost frame."""
    with open(path, encoding="utf-8") as f:
        lines = f.read().split(" of empty memory", 1)[1].splitlines()[1:]
    found = (re.match(r"  ([0-9.]+) MiB in \d+ blocks: (\S+)", line) for line in lines)
    return {m[2]: float(m[1]) for m in found if m}


def check_exact():
    path = os.path.join(SCRATCH, "held.words")
    with Work("held", options=options(1, path)) as w:
        seen = map_of(w)
        wrong = holder_faults(seen)
        tap(wrong == [] and seen["holders"]["steady"], "every block sampled: holders fit the rows", *wrong)
        rows = [r for r in seen["rows"] if size_site(r) and r["stranded"] > 0]
        named = [r for r in rows if r["holder"] and r["holder"]["bytes"] >= r["stranded"] * 0.9]
        tap(
            len(rows) > 500 and len(named) > 0.95 * len(rows),
            f"{len(named)} of {len(rows)} rows with stranded bytes name the site that keeps them",
            *[r for r in rows if r not in named],
        )
        changed = json.loads(json.dumps(seen))
        next(r for r in changed["rows"] if size_site(r) == "site_many" and r["holder"])["holder"]["site"] = next(
            i for i, s in enumerate(seen["holders"]["sites"]) if s["stack"][0] == "site_few"
        )
        tap(holder_faults(changed) != [], "control: another site in a row is noticed")
        check_text(w, seen)
        w.process.communicate("")  # the report is written at its end
    kept, said = kept_by(seen), report_of(path)
    wrong = [s for s in SITES.values() if s not in said or abs(kept.get(s, 0) / MIB - said[s]) > 0.1]
    good = wrong == [] and len(said) >= 3
    tap(good, f"the profile's own report says the same of {len(SITES)} sites", said, kept, *wrong)
    tap(abs(kept["site_many"] / MIB - said["site_few"]) > 0.1, "control: the sites keep different amounts", said)


def check_text(w, seen):
    text, n = tool("map", w.pid)[1], len(seen["holders"]["sites"])
    line = next((x for x in text.splitlines() if "call site" in x), "")
    tap(
        re.fullmatch(rf"{n} call sites keep [0-9.]+ MiB of [0-9.]+ MiB stranded:", line) is not None,
        "the text sums them up in a line",
        line,
    )
    held = sum(r["holder"] is not None for r in seen["rows"])
    tap(
        sum(" kept " in x and " by " in x for x in text.splitlines() if x.startswith("  7")) == held,
        f"and names one in each of {held} rows",
        text[:500],
    )
    head = re.search(r"\nraw small 208: .*\n  what is stranded is kept for the most part by site_many < main", text)
    tap(head is not None, "and for each class the one that keeps most", text[:500])
    status, html, err = tool("map", "--html", "-", w.pid)
    data = json.loads(html.split('id="data">', 1)[1].split("</script>", 1)[0])
    tap(
        html.count('<tr class="holder">') == n == len(data["holders"]["sites"])
        and html.count("of it kept by") == sum(r["holder"] is not None for r in data["rows"]),
        "the HTML has a line for each site, and a name in each bar",
        status,
        err,
        html.count('<tr class="holder">'),
        html.count("of it kept by"),
    )
    path = os.path.join(SCRATCH, "held.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump(seen, f)
    pair = json.loads(tool("map", "--compare", "--json", path, path)[1])
    tap(pair["before"] == seen, "a map with holders that was read is written again as it was")


def check_estimate():
    looks, wrong, sums, named = (10 if FULL else 3), [], [], 0
    for _ in range(looks):
        with Work("held", options=options(4096)) as w:
            seen = map_of(w)
            wrong += holder_faults(seen)
            named += sum(r["holder"] is not None for r in seen["rows"])
            sums.append(kept_by(seen).get("site_many", 0) / max(seen["holders"]["stranded"], 1))
    mean = sum(sums) / looks
    tap(wrong == [], f"a sample every 4096 bytes: in {looks} processes {named} rows name the right site", *wrong)
    tap(0.4 < mean < 0.8 and named > 0, f"and the main site keeps {mean:.0%} of what is stranded", *sums)
    with Work("held", options=options(4096)) as w:
        before = map_of(w)["holders"]["kept"]
        w.ask("free")
        after = map_of(w)["holders"]["kept"]
        tap(after < before / 4, "control: without the survivors nearly nothing is kept", before, after)


def check_without():
    with Work("held", options="compaction:off") as w:
        seen, text = map_of(w), tool("map", w.pid)[1]
        tap(
            seen["holders"] is None and all(r["holder"] is None for r in seen["rows"]) and " kept " not in text,
            "without a profile nobody is named",
            seen["holders"],
        )
        tap(
            "\nwho keeps stranded memory is not known: the process keeps no profile (TINYMEM=profile:on)\n" in text,
            "and a line says why",
            text[-500:],
        )


def check_names():
    """A program whose file is gone; a look that leaves nothing behind."""
    if os.geteuid() == 0:
        shutil.copy(os.path.join(SCRATCH, "held"), os.path.join(SCRATCH, "held-gone"))
        with Work("held-gone", options=options(1)) as w:
            os.unlink(os.path.join(SCRATCH, "held-gone"))
            tap("site_many" in kept_by(map_of(w)), "a program whose file was deleted has names", kept_by(map_of(w)))
    else:
        skip("a program whose file was deleted has names", "only root can read a file that is gone")
    with Work("held", options=options(1)) as w:
        map_of(w)
        before = trace_of(w.pid)
        for _ in range(20):
            map_of(w)
        after = trace_of(w.pid)
        changed = [(k, before[k], after[k]) for k in before if before[k] != after[k] and k != "maps"]
        tap(before == after, "20 maps with holders leave no trace in a program that sleeps", *changed)
        w.ask("free")
        tap(trace_of(w.pid) != after, "control: the program running for a moment is seen")


def check_torn():
    looks, steady, wrong = 200 if FULL else 40, 0, []
    with Work("work", "churn", options=options(2000)) as w:
        w.ask("work")
        for _ in range(looks):
            seen = map_of(w)
            wrong += holder_faults(seen, lambda row: None)
            steady += seen["holders"] is not None and seen["holders"]["steady"]
        alive = w.process.poll() is None
    tap(
        wrong == [] and alive,
        f"{looks} maps of a busy program: its holders fit the rows ({looks - steady} profiles changed while read)",
        *wrong,
    )
    bad, seeds = [], 40 if FULL else 8
    for seed in range(seeds):
        with Work("garbage", str(seed), options=options(1)) as w:
            status, _, err = tool("map", "--json", w.pid)
            if status not in (0, 1) or (status == 1) != (err.count("\n") == 1):
                bad.append((seed, status, err))
    tap(bad == [], f"{seeds} profiles in heaps that are overwritten: no map crashes", *bad)


def check_holders():
    check_without()
    check_exact()
    check_estimate()
    check_names()
    check_torn()
