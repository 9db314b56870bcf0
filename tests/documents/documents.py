"""documents.py ROOT - checks of all Markdown files, each with a control: a copy in which something is wrong.

D1  README.md has at most 250 lines.
D2  Lines have at most 120 columns. Table rows outside README.md may be longer, since they cannot be wrapped.
    lib/README.md is exempt as long as it has more than 300 lines: it is to be divided.
D3  Relative links and images lead to files of the tree, and their fragments to headings, under the rules of GitHub.
D4  Each folder or file that a document names by its path from the root exists.
D5  Figures of README.md stand in bench/RESULTS.md or in a manual page (bench/harness/figures.py).
D6  Each option of lib/os/options.def, with its default and its choices, is in preload/README.md and in tinymem.7.
D7  bench/RESULTS.md is as bench/run --publish wrote it, and the labels of the picture are those of its table."""

import glob
import os
import re
import subprocess
import sys

ROOT = os.path.abspath(sys.argv[1])
os.environ["BENCH_ROOT"] = ROOT
sys.path.insert(0, os.path.join(ROOT, "bench"))
from harness import figures, publish  # noqa: E402

LONGEST, COLUMNS = 250, 120
SKIPPED = {"build", ".git", "target", "node_modules"}
# First words of paths that documents name in `code`; what is built or installed is not in the tree.
FOLDERS = ("lib", "bench", "tests", "preload", "include", ".packaging")


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def documents():
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = sorted(set(folders) - SKIPPED)
        found += [os.path.relpath(os.path.join(folder, f), ROOT) for f in files if f.endswith(".md")]
    return sorted(found)


def result(name, complaints):
    print(("not ok - " if complaints else "ok - ") + name)
    for text in complaints[:20]:
        print("#   " + text)


def control(name, complaints):
    """What is wrong on purpose must be noticed."""
    print(("ok - " if complaints else "not ok - ") + "control: " + name)


# ---- length and lines -----------------------------------------------------------------------------------------------

def too_long(text):
    n = text.count("\n")
    return ["%d lines, and %d at most" % (n, LONGEST)] if n > LONGEST else []


def too_wide(path, text):
    if path == "lib/README.md" and text.count("\n") > 300:
        return []
    tables = path != "README.md"
    return ["%s:%d has %d columns" % (path, i, len(line)) for i, line in enumerate(text.split("\n"), 1)
            if len(line) > COLUMNS and not (tables and line.startswith("|"))]


# ---- links ----------------------------------------------------------------------------------------------------------

def without_code(text):
    text = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.S | re.M)
    text = re.sub(r"^    .*$", "", text, flags=re.M)
    return re.sub(r"`[^`\n]*`", "`", text)


def anchors(text):
    """The fragments of a document's headings, as GitHub makes them."""
    seen, found = {}, set(re.findall(r'<a (?:name|id)="([^"]+)"', text))
    for line in re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.S | re.M).split("\n"):
        heading = re.match(r"#{1,6}\s+(.*)", line)
        if heading:
            words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]).strip().lower()
            slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
            n = seen[slug] = seen.get(slug, -1) + 1
            found.add(slug if n == 0 else "%s-%d" % (slug, n))
    return found


def links(text):
    text = without_code(text)
    targets = re.findall(r"\]\(\s*<?([^)\s>]+)", text) + re.findall(r"^\[[^\]]+\]:\s*(\S+)", text, flags=re.M)
    return targets + re.findall(r'(?:src|href)="([^"]+)"', text)


def broken_links(path, text):
    wrong = []
    for target in links(text):
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        name, _, fragment = target.partition("#")
        where = os.path.normpath(os.path.join(ROOT, os.path.dirname(path), name)) if name else os.path.join(ROOT, path)
        if os.path.relpath(where, ROOT).startswith(".."):
            wrong.append("%s: %s leads out of the tree" % (path, target))
        elif not os.path.exists(where):
            wrong.append("%s: there is no %s" % (path, target))
        elif fragment and where.endswith(".md"):
            own = text if not name else read(os.path.relpath(where, ROOT))
            if fragment not in anchors(own):
                wrong.append("%s: no heading makes #%s in %s" % (path, fragment, os.path.relpath(where, ROOT)))
    return wrong


def missing_paths(path, text):
    """D4: `lib/threads/need.c` and the like, from the root or from the document's own folder."""
    wrong = []
    for name in re.findall(r"`([\w.-]+(?:/[\w.*-]+)+)/?`", text):
        if name.startswith(FOLDERS) and name.split("/")[0] in FOLDERS and not any(
                glob.glob(os.path.join(ROOT, base, name)) for base in ("", os.path.dirname(path))):
            wrong.append("%s names %s, which does not exist" % (path, name))
    return wrong


# ---- figures --------------------------------------------------------------------------------------------------------

def manual():
    pages = glob.glob(os.path.join(ROOT, "preload/man/*.[1-9]"))
    text = "".join(subprocess.run(["mandoc", "-Tutf8", "-O", "width=500", page], capture_output=True, text=True).stdout
                   for page in pages)
    return re.sub(".\b", "", text)


def edited_results(text):
    wrong = ["section %s was edited" % s for s in publish.edited(publish.read(text))]
    if publish.compose(publish.read(text)) != text:
        wrong.append("what stands outside the sections was edited")
    return wrong


def picture_differs(svg, results):
    row = figures.row_of(results, "Picture: much memory, then little / empty")
    labels = dict(re.findall(r">([\w-]+), (\d+) MiB</text>", svg))
    if not labels:
        return ["the picture has no labels"]
    return ["the picture says %s MiB of %s, the table %s" % (mib, name, row.get(name)) for name, mib in labels.items()
            if name not in row or abs(float(row[name]) - float(mib)) > 0.51]


def figures_of(readme, results, pages):
    return figures.wrong_tables(readme, results) + [
        "%s is neither in bench/RESULTS.md nor in a manual page" % n
        for n in figures.unknown_numbers(readme, results, pages)]


# ---- options --------------------------------------------------------------------------------------------------------

def options():
    """[(name, default, [choices])] of the table that the library is compiled with."""
    rows = re.findall(r'^TMI_OPTION\(\w+, (\w+), "([^"]*)", "([^"]*)"', read("lib/os/options.def"), flags=re.M)
    return [(name, default, unit.split("|") if "|" in unit else []) for name, default, unit in rows]


def untold_options(guide, page):
    wrong = []
    for name, default, choices in options():
        row = next((line for line in guide.split("\n") if re.match(r"\|[^|]*`%s`[^|]*\|.*\|.*\|" % name, line)), None)
        if row is None:
            wrong.append("preload/README.md has no row for %s" % name)
            continue
        words = set(re.findall(r"`([^`]+)`", row))
        wrong += ["preload/README.md does not say %s of %s" % (w, name)
                  for w in (default, *choices) if w and w not in words]
        item = re.search(r"^\.It Cm (?:\S+ : .*, Cm )?%s :.*\n((?:(?!\.It )(?!\.El).*\n)*)" % name, page, flags=re.M)
        if item is None:
            wrong.append("tinymem.7 has no item for %s" % name)
        elif default and not re.search(r"(?<![\w.])%s(?!\w)" % re.escape(default), item[1]):
            wrong.append("tinymem.7 does not say the default of %s" % name)
    return wrong


def check_options(texts):
    guide, page = texts["preload/README.md"], read("preload/man/tinymem.7")
    result("each option is in the guide and in the manual, with its default", untold_options(guide, page))
    control("an option that is not in the guide is noticed",
            untold_options(guide.replace("`purge_keep` |", "`purge_kept` |"), page))
    control("another default in the guide is noticed", untold_options(guide.replace("`5000`", "`6000`"), page))
    control("an option that is not in the manual is noticed",
            untold_options(guide, page.replace(".It Cm huge :", ".It Cm huger :")))
    control("another default in the manual is noticed",
            untold_options(guide, page.replace("Default 5000.", "Default 6000.")))
    print("# %d options" % len(options()))


# ---- all ------------------------------------------------------------------------------------------------------------

def check_form(texts):
    readme = texts["README.md"]
    result("README.md has at most %d lines" % LONGEST, too_long(readme))
    control("a README of 251 lines is noticed", too_long("x\n" * (LONGEST + 1)))
    result("no line has more than %d columns" % COLUMNS, [c for p, t in texts.items() for c in too_wide(p, t)])
    control("a line of 121 columns is noticed", too_wide("a.md", "ü" * (COLUMNS + 1)))
    control("a wide table in the README is noticed", too_wide("README.md", "|" + "x" * COLUMNS))


def check_links(texts):
    result("all links lead somewhere", [c for p, t in texts.items() for c in broken_links(p, t)])
    readme = texts["README.md"]
    for what, change in (("a link to no file", "[x](lib/nothing.md)"),
                         ("a link to no heading", "[x](#no-such-heading)"),
                         ("a link to no heading of another document", "[x](lib/README.md#no-such-heading)"),
                         ("an image that does not exist", "![x](bench/none.svg)"),
                         ("a link out of the tree", "[x](../../etc)")):
        control(what + " is noticed", broken_links("README.md", readme + "\n" + change + "\n"))
    result("all paths that are named exist", [c for p, t in texts.items() for c in missing_paths(p, t)])
    control("a path that does not exist is noticed", missing_paths("README.md", "`lib/nothing/none.c`"))


def check_figures(texts):
    readme, results, pages = texts["README.md"], texts["bench/RESULTS.md"], manual()
    result("each figure of the README stands in RESULTS.md or in a manual page", figures_of(readme, results, pages))
    cell = re.search(r"\| [^|]*\| ([\d.]+) \|", figures.NOTE.search(readme)[2].split("\n", 2)[2])
    doctored = readme.replace("| %s |" % cell[1], "| 0.123 |", 1)
    control("another figure in a table is noticed", figures_of(doctored, results, pages))
    control("a figure in a sentence is noticed", figures_of(readme + "\nIt is 41.7 times faster.\n", results, pages))
    control("a unit that differs is noticed", figures_of(readme + "\n7777 GiB a process.\n", results, pages))
    control("a row that RESULTS.md does not have is noticed",
            figures_of(readme, re.sub(r"^\| Time, all \(29\).*\n", "", results, flags=re.M), pages))
    result("bench/RESULTS.md is as bench/run --publish wrote it", edited_results(results))
    number = re.search(r"\| (\d+\.\d\d) \|", results)[1]
    control("a figure that was changed in it is noticed",
            edited_results(results.replace("| %s |" % number, "| 0.01 |", 1)))
    control("a line added to it is noticed", edited_results(results + "\nMore.\n"))
    svg = read("bench/picture.svg")
    result("the picture and its table agree", picture_differs(svg, results))
    control("a picture of another run is noticed", picture_differs(re.sub(r"(\d+) MiB<", r"9\1 MiB<", svg), results))
    print("# %d figures in sentences, %d tables of figures" % (
        len(figures.numbers(figures.prose(readme))), len(figures.NOTE.findall(readme))))


def main():
    texts = {path: read(path) for path in documents()}
    check_form(texts)
    check_links(texts)
    check_figures(texts)
    check_options(texts)
    print("# %d documents, %d links" % (len(texts), sum(len(links(t)) for t in texts.values())))


main()
