"""layers.py ROOT - hold the tree to the order in lib/LAYERS.

A file of module M (M.c, M.h, M.def, M_*.c, M_*.h) in folder L includes headers of its own module, of modules before M
in the list, and public headers. Public headers include public headers only. preload/ may include everything; nothing in
lib/ includes it. A private header (M_*.h with no M_*.c user outside, by convention M_impl.h) is included by its own
module only. `apart` modules may use base only; each has a folder to itself, lib/M/, and every file in it belongs to it.

Then the controls: the same check must fail on copies of the tree with one fault each.
"""
import os
import re
import shutil
import sys
import tempfile

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.M)
THREAD_LOCAL = re.compile(r'\b(?:__thread|_Thread_local|thread_local)\b')
APART, APART_MAY_USE = "apart", "base"


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def without_comments(text):
    return re.sub(r'/\*.*?\*/|//[^\n]*', ' ', text, flags=re.S)


def read_layers(root):
    """[(layer, module), ...] in order."""
    order = []
    for line in read(os.path.join(root, "lib/LAYERS")).splitlines():
        if line.strip() and not line.startswith("#"):
            layer, modules = line.split(":")
            order += [(layer.strip(), m) for m in modules.split()]
    return order


def module_of(layer, filename, order):
    """The module a file belongs to: the longest one that is its stem or a prefix of it before an underscore."""
    stem = filename.rsplit(".", 1)[0]
    fitting = [m for l, m in order if l == layer and (stem == m or stem.startswith(m + "_"))]
    return max(fitting, key=len, default=None)


def sources(root, top):
    for folder, _, names in sorted(os.walk(os.path.join(root, top))):
        for name in sorted(names):
            if name.endswith((".c", ".h", ".hpp", ".def")):
                yield os.path.relpath(os.path.join(folder, name), root)


def place(path, order):
    """Index of the module that the file lib/LAYER/NAME belongs to, or None."""
    parts = path.split("/")
    if len(parts) != 3:
        return None
    if (APART, parts[1]) in order:
        return order.index((APART, parts[1]))
    module = module_of(parts[1], parts[2], order)
    return None if module is None else order.index((parts[1], module))


def check_include(root, path, own, name, order):
    """Complaint about `#include name` in a file of module number `own`, or None."""
    if name.startswith("tinymem/"):
        return None if os.path.exists(os.path.join(root, "include", name)) else "no such public header"
    if not os.path.exists(os.path.join(root, "lib", name)):
        return "not found from lib/: included files are named by layer and file"
    its = place("lib/" + name, order)
    if its is None:
        return "its module is not listed in lib/LAYERS"
    if its > own:
        return "its module comes later in lib/LAYERS"
    if its != own and name.endswith("_impl.h"):
        return "private to its module"
    if order[own][0] == APART and its != own and order[its][0] != APART_MAY_USE:
        return "a module that stands apart uses only " + APART_MAY_USE
    return None


def check(root):
    """All complaints about the tree."""
    order, wrong, thread_local = read_layers(root), [], set()
    for path in sources(root, "lib"):
        own = place(path, order)
        text = without_comments(read(os.path.join(root, path)))
        if own is None:
            wrong.append(f"{path}: its module is not listed in lib/LAYERS")
            continue
        if path.endswith(".c") and THREAD_LOCAL.search(text):
            thread_local.add(path)
        for mark, name in INCLUDE.findall(text):
            complaint = check_include(root, path, own, name, order) if mark == '"' else None
            if mark == "<" and name.startswith("tinymem/"):
                complaint = "own headers are included with quotes"
            if complaint:
                wrong.append(f"{path} includes {name}: {complaint}")
    for path in sources(root, "include"):
        for mark, name in INCLUDE.findall(without_comments(read(os.path.join(root, path)))):
            if mark == '"' and not os.path.exists(os.path.join(root, "include/tinymem", name.removeprefix("tinymem/"))):
                wrong.append(f"{path} includes {name}: not a public header")
    for path in sources(root, "preload"):
        if THREAD_LOCAL.search(without_comments(read(os.path.join(root, path)))):
            thread_local.add(path)
    if len(thread_local) > 1:
        wrong.append("thread-local storage is defined in " + " and in ".join(sorted(thread_local)))
    return wrong


def control(root, name, path, line):
    """A copy of the tree in which `line` is added to `path` must not pass."""
    with tempfile.TemporaryDirectory() as copy:
        for top in ("lib", "include", "preload"):
            shutil.copytree(os.path.join(root, top), os.path.join(copy, top))
        target = os.path.join(copy, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "a", encoding="utf-8") as f:
            f.write(line + "\n")
        caught = len(check(copy)) > len(check(root))
        report(caught, "control: " + name + " is noticed")


def report(good, name, why=()):
    print(("ok - " if good else "not ok - ") + name)
    for line in why:
        print("#   " + line)


def main(root):
    wrong = check(root)
    report(not wrong, "every include follows lib/LAYERS, and one file has thread-local storage", wrong)
    control(root, "an include upwards", "lib/os/os.c", '#include "heap/heap.h"')
    control(root, "an include of a later module in the same layer", "lib/segments/sizeclass.c",
            '#include "segments/segment.h"')
    control(root, "an include upwards with spaces", "lib/base/base.h", '#  include  "os/lock.h"')
    control(root, "an include of preload", "lib/api/api.c", '#include "preload/preload.h"')
    control(root, "another module's private header", "lib/heap/heap.c", '#include "slabs/raw_impl.h"')
    control(root, "an include of the host in the pool", "lib/pool/alloc.c", '#include "os/os.h"')
    control(root, "an include of the pool in the heap", "lib/api/api.c", '#include "pool/pool.h"')
    control(root, "an unlisted module", "lib/segments/stray.c", "int stray;")
    control(root, "a public header that needs a private one", "include/tinymem/tinymem.h", '#include "base/base.h"')
    control(root, "a second file with thread-local storage", "lib/os/os.c", "static __thread int mine;")


main(sys.argv[1])
