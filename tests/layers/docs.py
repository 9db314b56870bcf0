"""docs.py ROOT - hold what is written about the sources to them.

Links between documents lead to files, and to headings in them. lib/README.md has at most 300 lines and leads to every
document in lib/. Its drawing of malloc's miss path names functions that the files beside them have.
"""
import os
import re
import sys

README, README_LINES = "lib/README.md", 300
FOLDERS = ("lib", "preload", "include", "tests", "bench", ".packaging")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
STEP = re.compile(r"^ {4}[ │├└─]*(\w+)\s+((?:[a-z_]+/)+[a-z_]+\.[ch])(?:\s|$)", re.M)
STEPS_LEAST = 20


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as f:
        return f.read()


def documents(root):
    paths = [name for name in sorted(os.listdir(root)) if name.endswith(".md")]
    for top in FOLDERS:
        for folder, _, names in sorted(os.walk(os.path.join(root, top))):
            paths += [os.path.relpath(os.path.join(folder, n), root) for n in sorted(names) if n.endswith(".md")]
    return paths


def anchors(text):
    """What a heading is called in a link, as GitHub makes it."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def broken_links(root, path, text):
    for target in LINK.findall(re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.M | re.S)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
        if not os.path.exists(os.path.join(root, file)):
            yield f"{path}: no {target}"
        elif anchor and anchor not in anchors(text if not name else read(root, file)):
            yield f"{path}: no heading {target}"


def unlisted(text, paths):
    listed = {os.path.normpath(os.path.join("lib", target)) for target in LINK.findall(text)}
    return [f"{p} is not in {README}" for p in paths if p.startswith("lib/") and p != README and p not in listed]


def wrong_steps(root, text):
    drawing = text.partition("<!-- miss:begin -->")[2].partition("<!-- miss:end -->")[0]
    steps = STEP.findall(drawing)
    if len(steps) < STEPS_LEAST:
        yield f"{len(steps)} steps"
    for function, file in steps:
        path = file if file.startswith("preload/") else "lib/" + file
        if not os.path.exists(os.path.join(root, path)):
            yield f"no file {file}"
        elif not re.search(rf"^(?!\s).*\b{function}\(.*\)( TMI_\w+)?(\n\{{| \{{)", read(root, path), re.M):
            yield f"{file} does not define {function}"


def report(good, name, why=()):
    print(("ok - " if good else "not ok - ") + name)
    for line in () if good else why:
        print("#   " + line)


def control(name, found):
    found = list(found)
    report(len(found) == 1, "control: " + name + " is noticed", found)


def main(root):
    paths = documents(root)
    wrong = [c for p in paths for c in broken_links(root, p, read(root, p))]
    report(len(paths) > 20 and not wrong, f"links of {len(paths)} documents lead somewhere", wrong)
    text = read(root, README)
    lines = text.count("\n")
    report(lines <= README_LINES, f"{README} has at most {README_LINES} lines", [f"{lines} lines"])
    wrong = unlisted(text, paths)
    report(not wrong, f"{README} leads to every document in lib/", wrong)
    wrong = list(wrong_steps(root, text))
    report(not wrong, "the drawing of the miss path names functions where they are", wrong)
    control("a link to no file", broken_links(root, README, "[a](threads/nothing.md)"))
    control("a link to no heading", broken_links(root, README, "# One\n[a](#one) [b](#two)"))
    control("a document that nothing leads to", unlisted(text, paths + ["lib/heap/nothing.md"]))
    control("a function that has moved", wrong_steps(root, text.replace("heap/heap.c  ", "slabs/raw.c  ", 1)))


main(sys.argv[1])
