"""reached.py ROOT - hold the C++ interface to the C one.

Every function that a header of C declares is in the table of include/tinymem/cxx/README.md under "What each function of
C is here". The code of <tinymem/cxx/> uses it, or the table says "C only:" and the reason, and then the code does not
use it.
"""
import glob
import os
import re
import sys

HEADERS, CODE, TABLE = "include/tinymem/*.h", "include/tinymem/cxx/*.hpp", "include/tinymem/cxx/README.md"
HEADING, C_ONLY = "## What each function of C is here", "C only:"
LEAST = 70


def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)


def functions(text):
    """What a header declares. Names that end with an underscore are for inlined functions, those with _t are types."""
    code = re.sub(r"^#(?:.*\\\n)*.*$", "", without_comments(text), flags=re.M)
    return {name for name in re.findall(r"\b((?:tm|je)_[a-z0-9_]+)\s*\(", code) if not name.endswith(("_", "_t"))}


def used(text):
    return set(re.findall(r"\b(?:tm|je)_[a-z0-9_]*[a-z0-9]\b", without_comments(text)))


def rows(document):
    """[(names, what they are in C++)] of the table. A name may end with an asterisk."""
    table = document.partition(HEADING)[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`[^|]*) \| ([^|]*) \|$", table, re.M)
    return [(re.findall(r"`([a-z0-9_*]+)`", names), text) for names, text in cells]


def complaints(declared, in_code, table):
    covered = set()
    for names, text in table:
        for name in names:
            here = {f for f in declared if f == name or (name[-1] == "*" and f.startswith(name[:-1]))}
            if not here:
                yield f"the table has {name}, which no header declares"
            if here & covered:
                yield f"the table has {name} twice"
            covered |= here
            if not text.startswith(C_ONLY):
                yield from (f"{f} is not used by C++, and the table does not say why" for f in sorted(here - in_code))
            elif len(text) < len(C_ONLY) + 10:
                yield f"{name} has no reason"
            else:
                yield from (f"the table says that {f} is C only, but C++ uses it" for f in sorted(here & in_code))
    yield from (f"{f} is not in the table" for f in sorted(declared - covered))


def report(good, name, why=()):
    print(("ok - " if good else "not ok - ") + name)
    for line in () if good else why:
        print("#   " + line)


def control(name, header, code, document):
    table = rows(f"{HEADING}\n\n{document}\n\n## Next\n\n| `tm_z` | x |\n")
    found = list(complaints(functions(header), used(code), table))
    report(len(found) == 1, f"control: {name} is noticed", found)


def read(root, pattern):
    texts = []
    for path in sorted(glob.glob(os.path.join(root, pattern))):
        with open(path, encoding="utf-8") as f:
            texts.append(f.read())
    return "\n".join(texts)


def main(root):
    declared, in_code = functions(read(root, HEADERS)), used(read(root, CODE))
    exported = {n for n in re.findall(r"\btm_[a-z0-9_]*[a-z0-9]\b", read(root, "tests/exports.txt"))}
    wrong = list(complaints(declared, in_code, rows(read(root, TABLE))))
    report(len(declared) >= LEAST and not wrong,
           f"C++ reaches {len(declared & in_code)} of {len(declared)} functions of C, the others have a reason", wrong)
    missed = sorted(n for n in exported - declared if n not in ("tm_options",))
    report(not missed, f"{len(exported)} functions that the libraries export are among them", missed)
    two, both = "void tm_a(int);\n/* void tm_c(void); */\nvoid *tm_b(void);\n", "tm_a(1); // tm_b\n"
    good = f"| `tm_a` | a |\n| `tm_b` | {C_ONLY} nobody needs it here |"
    found = list(complaints(functions(two), used(both), rows(f"{HEADING}\n\n{good}\n")))
    report(not found, "a table that is right passes", found)
    control("a function that is in no table", two + "int tm_new(void);\n", both, good)
    control("a function that C++ does not reach", two, "tm_b_(); /* tm_a */", good)
    control("a function without a reason", two, both, f"| `tm_a` | a |\n| `tm_b` | {C_ONLY} no |")
    control("a reason that is out of date", two, both + "tm_b();", good)
    control("a row for a function that is gone", two, both, good + "\n| `tm_gone` | x |")
    control("a function in two rows", two, both, good + "\n| `tm_a` | x |")


main(sys.argv[1])
