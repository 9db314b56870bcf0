"""bench/RESULTS.md: the published tables, one section for each suite, generated from results and never edited.

P1  A section is renewed as a whole, with its own date, command, machine and versions; other sections stay unchanged.
P2  Each section contains a digest of its text. An edited section is refused, and tests/documents reports it.
P3  All text outside the sections is computed from them: compose(read(text)) == text.
P4  Results with allocators of --with go to separate sections and do not replace others.
P5  Tables of the README that are taken from this file are renewed, too (figures.py).
P6  Only whole suites of a finished run are published, no quick ones. Void runs and missing programs are listed."""

import hashlib
import os
import re
import textwrap

from . import figures, paths, picture, registry, report, tables
from .handlestable import handles_tables
from .kvtable import kv_tables
from .profilerun import profile_tables
from .replayrun import replay_tables

FILE = os.path.join(paths.BENCH, "RESULTS.md")
README = os.path.join(paths.ROOT, "README.md")
TITLES = {
    "picture": "Picture", "programs": "Programs", "startup": "Start-up", "need": "Memory by need",
    "frag": "Fragmentation", "handles": "Handles", "kv": "Cache server", "micro": "Micro benchmarks",
    "replay": "Policies on traces", "profile": "Profiles and guards",
}
OTHERS = "-others"
ORDER = [s + ending for s in TITLES for ending in ("", OTHERS)]
# Of these suites only some of the report's tables are published.
ONLY = {"programs": ("geometric means", "time, ratio to glibc", "peak rss, ratio to glibc", "losses and wins"),
        "micro": ("geometric means", "ratio to glibc"), "handles": ("figures",)}
MAKERS = {"picture": picture.picture_tables, "programs": report.program_tables, "startup": report.startup_tables,
          "need": report.need_tables, "frag": report.frag_tables, "handles": handles_tables, "kv": kv_tables,
          "micro": report.micro_tables, "replay": replay_tables, "profile": profile_tables}
MARK = re.compile(r"<!-- suite: ([\w-]+); date: ([^;]*); tinymem: ([^;]*); digest: (\w+) -->\n"
                  r"(.*?)\n<!-- end: \1 -->", re.S)

INTRODUCTION = """# Results

`bench/run --publish` writes this file; do not edit it. `bench/run --publish --only need` renews one suite and leaves
the others with their own dates and commits. [README.md](README.md) says how each figure is measured and what the
programs are. Lower is better unless a row says otherwise. Compare only within a table: machines and days differ.
"""


BUSY = ("**The machine was busy** with other work. Times are not to be trusted, and whatever works beside the program, "
        "as "
        "background compaction does, had less time than on a quiet machine.")


class Refused(Exception):
    """Results that cannot be published; the text gives the reason."""


def digest(body):
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def section(suite, date, commit, body):
    """A section in the form that read() returns."""
    return {"suite": suite, "date": date, "tinymem": commit, "body": body.strip(), "digest": digest(body.strip())}


def read(text):
    """{suite: section} of the present file."""
    return {m[0]: dict(zip(("suite", "date", "tinymem", "digest", "body"), m)) for m in MARK.findall(text)}


def edited(sections):
    """The suites whose text was edited (P2)."""
    return [s["suite"] for s in sections.values() if digest(s["body"]) != s["digest"]]


def title(key):
    suite = key.removesuffix(OTHERS)
    return TITLES[suite] + (", other allocators" if key != suite else "")


def anchor(title):
    return title.lower().replace(",", "").replace(" ", "-")


def compose(sections):
    """The text of the whole file."""
    here = [sections[key] for key in ORDER if key in sections]
    index = tables.markdown(["suite", "measured", "tinymem"],
                            [["[%s](#%s)" % (title(s["suite"]), anchor(title(s["suite"]))), s["date"], s["tinymem"]]
                             for s in here])
    parts = ["<!-- suite: %(suite)s; date: %(date)s; tinymem: %(tinymem)s; digest: %(digest)s -->\n%(body)s\n"
             "<!-- end: %(suite)s -->\n" % s for s in here]
    return "\n".join([INTRODUCTION, *index, *parts])


def wrapped(text, first="", rest=""):
    return textwrap.fill(text, 118, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False,
                         break_long_words=False)


def provenance(result, suite):
    """Command, date, machine, versions, and what the figures leave out."""
    m = result["machine"]
    n = result["rounds"][suite]
    rounds = "%d %s" % (n, "round" if n == 1 else "rounds")
    lines = [wrapped("`%s`, %s, %s." % (result["command"], result["date"], rounds)), "",
             wrapped("%s, %d CPUs (%s), %d MiB, kernel %s, huge pages `%s`, load before the run %.2f." % (
                 m["system"], m["cpus"], m["cpu"], m["memory_mib"], m["kernel"].partition("-")[0], m["thp"],
                 m["load_before"])), ""]
    if m["load_before"] > m["cpus"]:
        lines += [wrapped(BUSY), ""]
    ran = {s["allocator"] for s in result["samples"] if s["suite"] == suite}
    lines += ["- %s: %s" % (a["name"], ", ".join(filter(None, (a["version"], a["note"]))))
              for a in result["allocators"] if a["name"] in ran or not a["library"]] + [""]
    if result["tuning"]:
        lines += [wrapped("Environment: " + ", ".join("`%s=%s`" % kv for kv in result["tuning"].items())), ""]
    lost = ["program %s is missing: %s" % (p["program"], p["reason"]) for p in result["missing"]
            if of_suite(p["program"], suite)]
    lost += ["void: %s under %s, round %d: %s" % (s["program"], s["allocator"], s["round"] + 1, s["reason"])
             for s in result["samples"] if s["suite"] == suite and s["reason"]]
    return lines + [wrapped(text, "- ", "  ") for text in lost] + ([""] if lost else [])


def of_suite(program, suite):
    return any(p.name == program and p.suite == suite for p in registry.PROGRAMS)


def chosen_tables(lines, key):
    """The tables to publish, one heading level lower, each with a heading that is unique in the file."""
    suite, kept, keep = key.removesuffix(OTHERS), [], True
    for text in lines:
        if text.startswith("## "):
            keep = suite not in ONLY or text.partition(": ")[2].startswith(ONLY[suite])
            text = "#" + text.replace(TITLES[suite], title(key), 1)
        if keep and text != "### " + title(key):
            kept.append(text)
    return kept


def written_by(result):
    """The commit of the library that was measured."""
    ours = (a["version"] for a in result["allocators"] if a["name"].startswith("tinymem") and a["library"])
    return next(ours, "not measured")


def key_of(result, suite):
    """The name of the section for this suite of the result (P4)."""
    given = any(a["note"] == "given by --with" and a["name"] != "tinymem" for a in result["allocators"])
    return suite + (OTHERS if given else "")


def made(result, suite):
    """The section of a suite, made from the result."""
    key = key_of(result, suite)
    results = tables.Results(result)
    names = report.names_in(results, [a["name"] for a in result["allocators"]], suite)
    body = ["## " + title(key), ""] + provenance(result, suite) + chosen_tables(MAKERS[suite](results, names), key)
    return section(key, result["date"], written_by(result), "\n".join(body))


def complaint(result, suite):
    """Why the suite cannot be published from this result, or ''."""
    ran = {s["program"] for s in result["samples"] if s["suite"] == suite}
    whole = {p.name for p in registry.PROGRAMS if p.suite == suite}
    left_out = sorted(whole - ran - {p["program"] for p in result["missing"]})
    if result["mode"] == "quick":
        return "a quick run is a smoke test; run it without --quick"
    if result.get("interrupted"):
        return "the run was interrupted"
    if left_out:
        return "only whole suites are published, and %s of the suite %s did not run" % (", ".join(left_out), suite)
    return ""


def suites_of(result, only=None):
    """The suites that the result has samples of, all or those of `only`."""
    return [s for s in TITLES if any(x["suite"] == s for x in result["samples"]) and (only is None or s in only)]


def renewed(text, result, only=None):
    """The file's text with the suites of the result renewed; raises Refused."""
    suites, sections = suites_of(result, only), read(text)
    if not suites:
        raise Refused("there is nothing to publish in these results")
    for suite in suites:
        why = complaint(result, suite)
        if why:
            raise Refused(why)
    keys = [key_of(result, suite) for suite in suites]
    by_hand = [s for s in edited(sections) if s not in keys]
    if by_hand:
        raise Refused("bench/RESULTS.md was edited by hand in: " + ", ".join(by_hand))
    sections.update({key: made(result, suite) for key, suite in zip(keys, suites)})
    return compose(sections)


def write(result, only=None, path=FILE, readme=README):
    """Renews the file, the README's tables, and the pictures if they are among the suites. Returns the names of the
    files written."""
    try:
        with open(path, encoding="utf-8") as f:
            before = f.read()
    except FileNotFoundError:
        before = ""
    after = renewed(before, result, only)
    written = {path: after}
    if "picture" in suites_of(result, only) and key_of(result, "picture") == "picture":
        written.update({os.path.join(os.path.dirname(path), name): svg for name, svg in picture.files(result).items()})
    with open(readme, encoding="utf-8") as f:
        written[readme] = figures.refreshed(f.read(), after)
    for name, content in written.items():
        with open(name, "w", encoding="utf-8") as f:
            f.write(content)
    return list(written)
