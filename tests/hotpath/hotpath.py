"""hotpath.py TMP LIBRARY - what malloc and free execute on the common path.

callgrind runs TMP/loop with the library preloaded and records every instruction. Those of the library that run (nearly)
once a call are the hot path: they are looked up in the disassembly and must not lock, exchange with memory, or call.
The count of malloc and free together is that of the whole process, 2N loops less N loops, less the same for a loop that
calls functions that do nothing. (Less a loop without calls it is 7 or 8 more: two arguments, calls, jumps through the
PLT, and returns. That count is printed too.)
"""
import bisect
import os
import re
import subprocess
import sys

N = 65536
TINY = 48
# how many at a time, bytes: instructions of malloc + free at most
MOST = {("one", TINY): 30, ("many", TINY): 30, ("one", 2000): 60, ("one", 30000): 60, ("one", 40000): 220}


def callgrind(tmp, library, mode, n, size=TINY, options=""):
    """(instructions in all, {address: times executed} of the library's own text)."""
    out = os.path.join(tmp, "callgrind.out")
    run = subprocess.run(["valgrind", "--tool=callgrind", "--dump-instr=yes", "--callgrind-out-file=" + out,
                          os.path.join(tmp, "loop"), mode, str(n), str(size)],
                         env=dict(os.environ, LD_PRELOAD=library, TINYMEM=options), stderr=subprocess.PIPE, text=True,
                         check=False)
    if run.returncode != 0:
        sys.exit("not ok - callgrind runs\n# " + run.stderr.replace("\n", "\n# "))
    with open(out, encoding="utf-8") as f:
        return parse(f, os.path.realpath(library))


def parse(lines, library):
    total, executed, names, here, called = 0, {}, {}, False, False
    address = line_number = 0
    for line in lines:
        if line.startswith("ob="):
            number, _, name = line[3:].strip().partition(" ")
            names.setdefault(number, name)
            here = os.path.realpath(names[number]) == library
        elif line.startswith("cob="):
            number, _, name = line[4:].strip().partition(" ")
            if name:
                names.setdefault(number, name)
        elif line.startswith("calls="):
            called = True
        elif line.startswith("summary:") or line.startswith("totals:"):
            total = int(line.split()[1])
        elif re.match(r"(0x|[+*-])", line):
            where, _, *cost = line.split()
            address = step(address, where)
            if here and not called and cost:
                executed[address] = executed.get(address, 0) + int(cost[0])
            called = False
    return total, executed


def step(address, text):
    """Positions are absolute or relative to the one before."""
    if text == "*":
        return address
    return address + int(text, 0) if text[0] in "+-" else int(text, 16)


def disassemble(library):
    """{address: instruction}, sorted."""
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", library], stdout=subprocess.PIPE, text=True,
                          check=True).stdout
    found = re.findall(r"^\s*([0-9a-f]+):\t([^\n]*)$", text, re.M)
    return {int(a, 16): i.split("#")[0].strip() for a, i in found}


def function_bounds(library):
    """Sorted [(start, end, name)] of malloc and free."""
    text = subprocess.run(["readelf", "--dyn-syms", "-W", library], stdout=subprocess.PIPE, text=True,
                          check=True).stdout
    bounds = []
    for row in map(str.split, text.splitlines()):
        if len(row) >= 8 and row[3] == "FUNC" and row[7].split("@")[0] in ("malloc", "free"):
            bounds.append((int(row[1], 16), int(row[1], 16) + int(row[2], 0), row[7]))
    return sorted(bounds)


def complaint(instruction):
    words = instruction.split()
    if words[0] == "lock" or instruction.startswith("lock "):
        return "has a lock prefix"
    if words[0].startswith("xchg") and "(" in instruction:
        return "exchanges with memory"
    if words[0].startswith(("call", "syscall", "mfence")) or (words[0] == "bnd" and words[1].startswith("call")):
        return "calls or fences"
    return None


def hot_instructions(tmp, library):
    """[(function, address, instruction)] that run in nearly every call."""
    _, executed = callgrind(tmp, library, "one", N)
    code, bounds = disassemble(library), function_bounds(library)
    starts = [b[0] for b in bounds]
    hot = []
    for address in sorted(a for a, times in executed.items() if times >= N * 0.9):
        at = bisect.bisect(starts, address) - 1
        name = bounds[at][2] if at >= 0 and address < bounds[at][1] else "elsewhere"
        hot.append((name, address, code.get(address, "unknown")))
    return hot


def per_block(tmp, library, mode, size, options=""):
    """Instructions of one round of the loop."""
    return (callgrind(tmp, library, mode, 2 * N, size, options)[0] -
            callgrind(tmp, library, mode, N, size, options)[0]) / N


def count(tmp, library, mode, size):
    """Instructions of one malloc and free: less the loop with idle calls, and less the loop alone."""
    whole = per_block(tmp, library, mode, size)
    return whole - per_block(tmp, library, mode + "-idle", size), whole - per_block(tmp, library, mode + "-empty", size)


def main(tmp, library):
    hot = hot_instructions(tmp, library)
    for name in ("malloc", "free"):
        mine = [h for h in hot if h[0] == name]
        wrong = [f"{i} {complaint(i)}" for _, _, i in mine if complaint(i)]
        ret = any(i.startswith("ret") for _, _, i in mine)
        good = bool(mine) and ret and not wrong
        print(f"{'ok' if good else 'not ok'} - the fast path of {name} has no lock, no xchg, no call "
              f"({len(mine)} instructions)")
        for _, address, i in mine:
            print(f"#   {address:x}  {i}")
        if not good:
            print("#   " + "; ".join(wrong or ["there is no return on it"]))
    strays = [h for h in hot if h[0] == "elsewhere"]
    print(f"{'not ok' if strays else 'ok'} - nothing else of the library runs on the common path")
    for _, address, i in strays:
        print(f"#   {address:x}  {i}")
    words = {"one": "one at a time", "many": "32 at a time"}
    for (mode, size), most in MOST.items():
        n, with_calls = count(tmp, library, mode, size)
        print(f"{'ok' if n <= most else 'not ok'} - malloc and free of {size} bytes, "
              f"{words[mode]}: {n:.1f} instructions,"
              f" at most {most} ({with_calls:.1f} with the calls)")
    more = per_block(tmp, library, "one", TINY, "guard:1000000000") - per_block(tmp, library, "one", TINY, "huge:off")
    print(f"{'ok' if 0 < more <= 20 else 'not ok'} - counting for guarded blocks takes {more:.1f} more, at most 20")
    slow = hot_instructions(tmp, os.path.join(tmp, "slow.so"))
    caught = {n for n, _, i in slow if complaint(i)}
    print(f"{'ok' if caught >= {'malloc', 'free'} else 'not ok'} - control: "
          "a malloc with a lock and a free with xchg are noticed")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
