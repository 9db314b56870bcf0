"""bound.py ROOT - hold the Rust crate to the C headers.

A function that a header declares is declared by sys.rs, with the same types, and used by another file of the crate; or
it is in UNBOUND, with a reason. A structure of figures has the same members in C and in Rust, in the same order and of
the same types. Constants of the headers are in sys.rs, with the same values.
"""
import os
import re
import sys

HEADERS, CRATE = "include/tinymem", "include/rust/tinymem/src"
RESET = "guards and closures end pins and scopes, by a panic too; a reset would end those of guards that live on"
POOL = "the pool is another library, over memory that its user owns; a crate of its own would bind it"
UNBOUND = (
    (r"tm_pin_reset", RESET),
    (r"tm_scope_reset", RESET),
    (r"je_get_defrag_hint", "tm_should_move under the name that C programs for a patched jemalloc call"),
    (r"tm_pool_\w+", POOL),
)
TYPES = {
    "void": "()", "size_t": "usize", "bool": "bool", "int": "c_int", "unsigned": "c_uint", "uint64_t": "u64",
    "tm_handle_t": "u64", "tm_ref_t": "u32", "const char *": "*const c_char", "char *": "*mut u8",
    "void *": "*mut c_void", "const void *": "*const c_void", "tm_stats_t *": "*mut Stats",
    "tm_heap_stats_t *": "*mut HeapStats", "tm_batch_call_t *": "Option<BatchCall>",
    "bool (*)(tm_handle_t h, void *context)": "Visit",
    "tm_heap_class_t *": "*mut HeapClass", "tm_heap_part_t": "HeapPart",
}
DECLARED = re.compile(r"^(?!typedef\b)(?:TM_INLINE_ |TM_POOL_API )?((?:const )?\w+[ *]+)((?:tm|je)_\w+)(?=\()", re.M)
STRUCTURES = (("tm_figures", "Stats"), ("tm_heap_part", "HeapPart"), ("tm_heap_class", "HeapClass"),
              ("tm_heap_figures", "HeapStats"), ("tm_batch", "Batch"))


APART = ("TM_POOL_", "TM_INLINE_")  # the pool's; no constant


def constants(text):
    """{name: value} of the enumerators and macros of a header that are numbers."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)
    found = re.findall(r"\b(TM_[A-Z_]+) = (-?\d+)(?=[,\s}])", text)
    found += re.findall(r"^#define (TM_[A-Z_]+) (?:\(\([a-z_]+\))?(-?\d+)\)?$", text, re.M)
    return {name: int(value) for name, value in found if not name.endswith("_") and not name.startswith(APART)}


def wrong_constants(headers, sys_rs):
    c = constants(headers)
    rust = dict(re.findall(r"pub const (TM_[A-Z_]+): \w+ = ([^;]+);", sys_rs))
    rust = {name: -1 if value == "usize::MAX" else int(value) for name, value in rust.items()}
    for name in sorted(c.keys() | rust.keys()):
        if c.get(name) != rust.get(name):
            yield f"{name}: in C {c.get(name, 'nothing')}, in Rust {rust.get(name, 'nothing')}"


def stripped(text):
    """Without comments and directives."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*$", "", text, flags=re.M)


def type_of(declared):
    """What is left of `const char *name` without the name, as Rust has it."""
    declared = " ".join(declared.split())
    declared = re.sub(r"\(\*\w+\)", "(*)", declared)
    if declared.endswith(")") or declared in TYPES:
        return TYPES.get(declared, declared)
    c = re.sub(r"\w+$", "", declared).strip()
    return TYPES.get(c, c)


def parameters(text):
    """Those between the parentheses that begin there, and what follows."""
    depth, start, parts = 0, 1, []
    for i, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if depth == 0 or (depth == 1 and c == ","):
            parts.append(text[start:i])
            start = i + 1
        if depth == 0:
            return [p for p in parts if p.strip() not in ("", "void")], text[i + 1:]
    return parts, ""


def c_functions(text):
    """{name: signature} of those that a header declares or defines. Names that end with _ are its own."""
    text, found = stripped(text), {}
    for hit in DECLARED.finditer(text):
        name = hit[2]
        parts, rest = parameters(text[hit.end():])
        if not name.endswith("_") and re.match(r"\s*(?:__attribute__|TM_\w+|;|\{)", rest):
            found[name] = "(" + ", ".join(map(type_of, parts)) + ") -> " + type_of(hit[1].strip() + " x")
    return found


def rust_functions(text):
    found = {}
    for name, inside, result in re.findall(r"pub fn ((?:tm|je)_\w+)\(([^)]*)\)(?: -> ([^;]+))?;", text):
        types = [part.split(":")[1].strip() for part in inside.split(",") if ":" in part]
        found[name] = "(" + ", ".join(types) + ") -> " + (result or "()")
    return found


def members(inside, separator):
    return [m for m in (" ".join(part.split()) for part in inside.split(separator)) if m]


def c_members(name, text):
    body = re.search(rf"typedef struct {name} \{{(.*?)\}} \w+;", stripped(text), re.S)
    found = []
    for member in members(body[1], ";"):
        declared, *others = member.split(",")
        found.append(declared)
        found += [re.match(r"\w+ ", declared)[0] + other.strip() for other in others]
    return [array_of(member) for member in found]


def array_of(member):
    name, n = re.search(r"(\w+)(?:\[(\d+)\])?$", member).groups()
    kind = type_of(member[:member.rindex(name)] + "x")
    return name.rstrip("_"), f"[{kind}; {n}]" if n else kind


def rust_members(name, text):
    body = re.search(rf"pub struct {name} \{{(.*?)\n\}}", re.sub(r"//[^\n]*|#\[[^\n]*\]", "", text), re.S)
    return [tuple(re.sub(r"^pub ", "", member).split(": ")) for member in members(body[1], ",")]


def complaints(headers, sys_rs, others):
    """What is wrong with functions. `headers` and `others` are texts."""
    c, rust = c_functions(headers), rust_functions(sys_rs)
    for name, signature in sorted(c.items()):
        reason = next((why for names, why in UNBOUND if re.fullmatch(names, name)), None)
        if name in rust and reason:
            yield f"{name} is bound, and listed as not bound"
        elif name not in rust and not reason:
            yield f"{name}{signature} is not in sys.rs, and not in UNBOUND of tests/rust/bound.py"
        elif name in rust and rust[name] != signature:
            yield f"{name}: in C {signature}, in Rust {rust[name]}"
        if name in rust and not re.search(rf"\bsys::{name}\b", others):
            yield f"{name} is declared, and no file uses it"
    for name in sorted(rust.keys() - c.keys()):
        yield f"{name} is in sys.rs, and in no header"
    for names, _ in UNBOUND:
        if not any(re.fullmatch(names, name) for name in c):
            yield f"{names} of UNBOUND is in no header"


def differences(c_name, rust_name, headers, others):
    c, rust = c_members(c_name, headers), rust_members(rust_name, others)
    for i in range(max(len(c), len(rust))):
        one, two = (c[i:i + 1] or ["nothing"])[0], (rust[i:i + 1] or ["nothing"])[0]
        if one != two:
            yield f"{c_name}, member {i + 1}: in C {one}, in Rust {two}"


def report(good, name, why=()):
    print(("ok - " if good else "not ok - ") + name)
    for line in () if good else why:
        print("#   " + line)


def control(name, found):
    report(len(list(found)) == 1, "control: " + name + " is noticed", list(found))


def texts(folder, ending):
    for name in sorted(os.listdir(folder)):
        if name.endswith(ending):
            with open(os.path.join(folder, name), encoding="utf-8") as f:
                yield name, f.read()


def main(root):
    headers = "\n".join(text for _, text in texts(os.path.join(root, HEADERS), ".h"))
    crate = dict(texts(os.path.join(root, CRATE), ".rs"))
    sys_rs, others = crate.pop("sys.rs"), "\n".join(crate.values())
    wrong, bound = list(complaints(headers, sys_rs, others)), rust_functions(sys_rs)
    apart = [name for name in c_functions(headers) if name not in bound]
    report(not wrong and len(bound) > 40, f"{len(bound)} functions of the C headers are bound, and {len(apart)} are "
           "listed with a reason", wrong)
    with open(os.path.join(root, "tests/exports.txt"), encoding="utf-8") as f:
        exported = set(re.findall(r"\btm_\w+\b(?<!_)", re.sub(r"#[^\n]*", "", f.read())))
    unseen = sorted(exported - c_functions(headers).keys())
    report(not unseen and len(exported) > 40, "each exported function is found in a header", unseen)
    count = 0
    for c_name, rust_name in STRUCTURES:
        wrong = list(differences(c_name, rust_name, headers, others))
        count += len(c_members(c_name, headers))
        report(not wrong, f"{rust_name} has the members of {c_name}", wrong)
    wrong = list(wrong_constants(headers, sys_rs))
    report(not wrong, f"{len(constants(headers))} constants have the values that they have in C", wrong)
    print(f"# {len(bound)} functions, {count} members of {len(STRUCTURES)} structures")
    control("a new function of a header", complaints(headers + "\nint tm_new(void);\n", sys_rs, others))
    control("a new inlined function", complaints(headers + "\nTM_INLINE_ void *tm_new(tm_ref_t r)\n{\n}", sys_rs,
            others))
    control("another type of a parameter", complaints(headers.replace("bool tm_compact_step(unsigned",
            "bool tm_compact_step(size_t"), sys_rs, others))
    control("another type of a result", complaints(headers.replace("size_t tm_compact(void)", "bool tm_compact(void)"),
            sys_rs, others))
    control("a function that has gone", complaints(headers.replace("void tm_idle(void);", ""), sys_rs, others))
    control("a function that nobody uses", complaints(headers, sys_rs, others.replace("sys::tm_each", "")))
    control("a reason for a function that has gone", complaints(headers.replace("je_get_defrag_hint", "tm_not_"),
            sys_rs, others))
    control("another value of a constant", wrong_constants(headers.replace("TM_MOVER_OFF = 2", "TM_MOVER_OFF = 3"),
            sys_rs))
    control("a new constant", wrong_constants(headers.replace("TM_MOVER_OFF = 2", "TM_MOVER_OFF = 2, TM_MOVER_NEW = 3"),
            sys_rs))
    control("a new member", differences("tm_batch", "Batch", headers.replace("} tm_batch_t", "size_t n; } tm_batch_t"),
            others))
    control("a member of another type", differences("tm_batch", "Batch", headers, re.sub(
            r"(pub struct Batch .*?pub time_ns: )u64", r"\1u32", others, flags=re.S)))


main(sys.argv[1])
