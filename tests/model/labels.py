"""labels.py ROOT - hold the models and the code together.

A step of the protocol carries `[model: LABEL]` in the models (tests/model/*.pml, once or more) and in a comment of the
code that takes the step: exactly once over all files under lib/ and include/. Same set on both sides.

Then the controls: the check must fail on trees with one fault each. They are made from the models' labels.
"""
import os
import re
import sys
import tempfile

LABEL = re.compile(r"\[model:\s*([^\]]*?)\s*\]")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)


def labels_of(path, comments_only):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    if comments_only:
        text = "\n".join(COMMENT.findall(text))
    return LABEL.findall(text)


def in_models(root):
    folder = os.path.join(root, "tests/model")
    return {l for name in os.listdir(folder) if name.endswith(".pml")
            for l in labels_of(os.path.join(folder, name), False)}


def in_code(root):
    """{label: [file, ...]}, a file as often as the label stands in it."""
    places = {}
    for top in ("lib", "include"):
        for folder, _, names in sorted(os.walk(os.path.join(root, top))):
            for name in sorted(names):
                if name.endswith((".c", ".h", ".def")):
                    path = os.path.join(folder, name)
                    for label in labels_of(path, True):
                        places.setdefault(label, []).append(os.path.relpath(path, root))
    return places


def faults(models, places):
    found = [f"{label} is in no file of lib/ or include/" for label in sorted(models - set(places))]
    found += [f"{label} is in no model ({places[label][0]})" for label in sorted(set(places) - models)]
    found += [f"{label} stands more than once: {', '.join(files)}"
              for label, files in sorted(places.items()) if len(files) > 1]
    return found


def result(name, why):
    print(f"not ok - {name}" if why else f"ok - {name}")
    for line in why:
        print(f"#   {line}")
    return not why


def control_tree(root, models, fault):
    """A small tree that has every label once, except for the fault."""
    labels = sorted(models)
    lines = [f"    step(); /* does it; [model: {l}] */" for l in labels]
    if fault == "missing":
        del lines[0]
    elif fault == "doubled":
        lines.append(f"    step(); // [model: {labels[0]}]")
    elif fault == "unknown":
        lines.append("    step(); /* [model: no_such_step] */")
    elif fault == "not in a comment":
        lines[0] = f'    say("[model: {labels[0]}]");'
    half = len(lines) // 2
    for path, part in (("lib/compaction/pin.c", lines[:half]), ("include/tinymem/pin.h", lines[half:])):
        os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
        with open(os.path.join(root, path), "w", encoding="utf-8") as f:
            f.write("\n".join(part) + "\n")


def main(root):
    models = in_models(root)
    good = result("the models have labels", [] if models else ["none found"])
    name = f"each of the models' {len(models)} labels stands exactly once in the code"
    if os.path.isdir(os.path.join(root, "lib/compaction")):
        good &= result(name, faults(models, in_code(root)))
    else:
        print(f"ok - {name} # SKIP lib/compaction is not written yet")
    for fault in ("", "missing", "doubled", "unknown", "not in a comment"):
        with tempfile.TemporaryDirectory() as tree:
            control_tree(tree, models, fault)
            found = faults(models, in_code(tree))
            if fault:
                why = [] if len(found) == 1 else ["noticed: " + "; ".join(found)]
                good &= result(f"control: a label {fault} is noticed", why)
            else:
                good &= result("control: a tree without fault passes", found)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
