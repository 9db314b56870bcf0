"""shape.py ROOT - hold the sources to what a reader can take in.

A line of code, scripts, models and of the documents about the library has at most 120 columns. A file of code has at
most 600 lines. A function of the library has at most 40, from its
name to its last brace. What the library defines for itself begins with tmi_ or TMI_: TM_ is what programs see.
"""
import os
import re
import sys

COLUMNS, FILE_LINES, FUNCTION_LINES = 120, 600, 40
FOLDERS = ("lib", "include", "preload", "tests", "bench", ".packaging", ".ci")
CODE = (".c", ".h", ".def", ".cc", ".hpp")
SCRIPTS = (".py", ".sh", ".cmake", "CMakeLists.txt", ".pml", ".inc", ".map", ".list", "LAYERS")
PROSE = (".md",)
OF_PROSE = ("lib", "preload")  # folders whose documents are held to it
OUTSIDE = re.compile(r"^\s*#\s*define\s+(TM_[A-Z0-9_]+)", re.M)


def is_script(path):
    """Told by its name, or where that has no ending by its first line."""
    if path.endswith(SCRIPTS) or "." in os.path.basename(path):
        return path.endswith(SCRIPTS)
    with open(path, "rb") as f:
        return f.read(2) == b"#!"


def sources(root):
    yield "CMakeLists.txt"
    for top in FOLDERS:
        for folder, _, names in sorted(os.walk(os.path.join(root, top))):
            for name in sorted(names):
                path = os.path.join(folder, name)
                if name.endswith(CODE + (PROSE if top in OF_PROSE else ())) or is_script(path):
                    yield os.path.relpath(path, root)


def long_functions(lines):
    """(number of the first line, length) of each function that is too long: its brace opens in the first column."""
    start = None
    for number, line in enumerate(lines, 1):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start:
            if number - start + 2 > FUNCTION_LINES:
                yield start - 1, number - start + 2
            start = None


def complaints(path, text, public):
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS and not (line.startswith("|") and path.endswith(PROSE)):  # rows of tables do not wrap
            yield f"{path}:{number}: {len(line)} columns"
    if len(lines) > FILE_LINES + 1 and path.endswith(CODE):
        yield f"{path}: {len(lines) - 1} lines"
    if path.startswith("lib" + os.sep):
        for number, length in long_functions(lines):
            yield f"{path}:{number}: a function of {length} lines"
        for name in OUTSIDE.findall(text) if path.endswith(CODE) else ():
            if name not in public:
                yield f"{path}: {name} is not for programs"


def control(name, path, text):
    found = list(complaints(path, text, set()))
    report(len(found) == 1, "control: " + name + " is noticed", found)


def report(good, name, why=()):
    print(("ok - " if good else "not ok - ") + name)
    for line in () if good else why:
        print("#   " + line)


def main(root):
    files = {}
    for path in sources(root):
        with open(os.path.join(root, path), encoding="utf-8") as f:
            files[path] = f.read()
    public = {n for path, text in files.items() if path.startswith("include") for n in re.findall(r"\bTM_\w+", text)}
    wrong = [c for path, text in files.items() for c in complaints(path, text, public)]
    report(len(files) > 300 and not wrong, f"{len(files)} files keep to the limits", wrong)
    short = "int f(void)\n{\n" + "    g();\n" * (FUNCTION_LINES - 3) + "}\n"
    report(not list(complaints("lib/heap/x.c", short, set())), "a function of 40 lines passes")
    control("a function of 41 lines", "lib/heap/x.c", short.replace("{\n", "{\n    g();\n", 1))
    control("a line of 121 columns", "tests/x.c", "x" * 121 + "\n")
    control("a line of 121 columns in a script", "tests/x/run", "#!/bin/bash\n" + "x" * 121 + "\n")
    kinds = {os.path.splitext(path)[1] or "scripts" for path in files}
    report({".py", ".sh", ".cmake", ".pml", ".md", "scripts"} <= kinds, "scripts, models and documents are among them")
    control("a file of 601 lines", "bench/x.c", "x\n" * 601)
    control("an internal macro with the prefix of programs", "lib/heap/x.h", "#  define TM_LIKELY(x) (x)\n")


main(sys.argv[1])
