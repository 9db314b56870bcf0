"""handles.py TMP LIBRARY - what tm_alloc and tm_free, tm_pin and tm_unpin, and tm_deref execute on the common path.

As hotpath.py counts malloc and free. What pin.h inlines is looked up in the program: it must not lock, exchange with
memory, fence or call. tm_free may lock once, for its compare-and-swap; tm_alloc may not. tm_realloc to another class
may lock once, too.
"""
import os
import re
import subprocess
import sys

import hotpath

MOST = {"alloc": 60, "alloc-600": 72, "alloc-30000": 72, "calloc": 110, "realloc": 60, "double": 360, "pin": 26,
        "scope": 10, "try-pin": 28, "ref": 11}
MOST_FOR_MOVER = 200  # more in a call that finds the mover's mark; test_object_stress bounds the rounds


def run(tmp, library, mode, n, seen_in):
    out = os.path.join(tmp, "handles.callgrind")
    done = subprocess.run(["valgrind", "--tool=callgrind", "--dump-instr=yes", "--callgrind-out-file=" + out,
                           os.path.join(tmp, "handles"), mode, str(n)],
                          env=dict(os.environ, LD_LIBRARY_PATH=tmp, TINYMEM="compaction:manual"),
                          stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit("not ok - callgrind runs handles\n# " + done.stderr.replace("\n", "\n# "))
    with open(out, encoding="utf-8") as f:
        return hotpath.parse(f, os.path.realpath(seen_in))


def per_round(tmp, library, mode):
    n = hotpath.N
    return (run(tmp, library, mode, 2 * n, library)[0] - run(tmp, library, mode, n, library)[0]) / n


def hot(tmp, library, mode, seen_in, load_bias):
    """Instructions of `seen_in` that run in nearly every round."""
    executed = run(tmp, library, mode, hotpath.N, seen_in)[1]
    code = hotpath.disassemble(seen_in)
    return [code.get(a, code.get(a - load_bias, "unknown")) for a, times in sorted(executed.items())
            if times >= hotpath.N * 0.9]


def result(good, text, detail=()):
    print(("ok - " if good else "not ok - ") + text)
    for line in detail:
        print("#   " + line)


def main(tmp, library):
    program = os.path.join(tmp, "handles")
    pair, loop = per_round(tmp, library, "idle"), per_round(tmp, library, "empty")
    words = {"alloc": "tm_alloc and tm_free of 48 bytes", "alloc-600": "tm_alloc and tm_free of 600 bytes",
             "alloc-30000": "tm_alloc and tm_free of 30,000 bytes", "calloc": "tm_calloc and tm_free of 48 bytes",
             "realloc": "tm_realloc within a class", "double": "tm_realloc to twice the size",
             "pin": "tm_pin and tm_unpin", "scope": "tm_deref in a scope",
             "try-pin": "tm_try_pin and tm_unpin", "ref": "tm_deref_ref in a scope"}
    for mode, most in MOST.items():
        n = per_round(tmp, library, mode) - (pair if "alloc" in mode and mode != "realloc" else loop)
        result(n <= most, f"{words[mode]}: {n:.1f} instructions, at most {most}")
    for mode in ("pin", "scope", "try-pin", "ref"):
        found = hot(tmp, library, mode, program, 0x400000)
        wrong = [f"{i} {hotpath.complaint(i)}" for i in found if hotpath.complaint(i)]
        result(bool(found) and not wrong,
                f"{words[mode]}: no lock, no xchg, no fence, no call ({len(found)} instructions, the loop included)",
                wrong or found)
    for mode, swaps in (("alloc", 1), ("alloc-30000", 1), ("realloc", 0)):
        found = hot(tmp, library, mode, library, 0)
        locked = [i for i in found if re.match(r"lock\b", i)]
        wrong = [i for i in found if hotpath.complaint(i) and not re.match(r"lock\s+cmpxchg", i)]
        result(bool(found) and len(locked) == swaps and not wrong,
               f"{words[mode]}: {swaps} compare-and-swap, no other lock, xchg or call", wrong or locked)
    locked = [i for i in hot(tmp, library, "double", library, 0) if re.match(r"(lock|xchg.*\(|mfence|syscall)", i)]
    result(len(locked) == 1 and "cmpxchg" in locked[0],
           f"{words['double']}: 1 compare-and-swap, and no lock of the mover or of slabs", locked)
    for mode, words_of in (("pin", "tm_pin"), ("scope", "tm_deref"), ("free", "tm_free")):
        more = per_round(tmp, library, mode + "-found") - per_round(tmp, library, mode + "-gone")
        result(0 < more <= MOST_FOR_MOVER,
               f"{words_of} that finds the mover's mark: {more:.1f} instructions more, at most {MOST_FOR_MOVER}")
    slow = hot(tmp, library, "idle", program, 0x400000)
    result(any(hotpath.complaint(i) for i in slow), "control: a loop that calls is noticed")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
