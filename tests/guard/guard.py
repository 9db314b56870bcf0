"""guard.py TMP LIBRARY - what is said of misuse of guarded blocks, exactly, and that nothing is said where there is
none.

TMP/cases is run with guard:1. A message is compared word for word, with pointers given relative to the one that the
program has printed; of a stack the innermost function that is the test's own counts.
"""
import os
import re
import resource
import signal
import subprocess
import sys

TMP = ""
NONE = object()
OWN = ("allocate_here", "free_here", "read_here", "write_here", "canary_of_realloc", "use_after_realloc",
       "realloc_after_free", "realloc_inside", "usable_size_after_free", "free_sized_twice", "object_here",
       "object_free_here",
       "pin_here", "sampled_realloc_after_free")
ALLOCATED = ("allocated", "allocate_here")
FREED = ("freed", "free_here")
SEGV, ABRT = -signal.SIGSEGV, -signal.SIGABRT

# case: (status, first line, [(what, innermost function)])
CASES = {
    "overflow_by_a_read": (SEGV, "buffer overflow: read at @+32, 0 bytes past the end of a block of 32 bytes at @",
                           [("used", "read_here"), ALLOCATED]),
    "overflow_by_a_write": (SEGV, "buffer overflow: write at @+32, 0 bytes past the end of a block of 32 bytes at @",
                            [("used", "write_here"), ALLOCATED]),
    "overflow_by_far": (SEGV, "buffer overflow: write at @+132, 100 bytes past the end of a block of 32 bytes at @",
                        [("used", "write_here"), ALLOCATED]),
    "overflow_of_a_large_block": (
        SEGV, "buffer overflow: write at @+60000, 0 bytes past the end of a block of 60000 bytes at @",
        [("used", "write_here"), ALLOCATED]),
    "overflow_past_the_alignment": (
        SEGV, "buffer overflow: write at @+32, 8 bytes past the end of a block of 24 bytes at @",
        [("used", "write_here"), ALLOCATED]),
    "underflow_by_a_read": (SEGV, "buffer underflow: read at @-1, 1 byte before the start of a block of 32 bytes at @",
                            [("used", "read_here"), ALLOCATED]),
    "underflow_by_a_write": (
        SEGV, "buffer underflow: write at @-8, 8 bytes before the start of a block of 32 bytes at @",
        [("used", "write_here"), ALLOCATED]),
    "canary_behind": (
        ABRT, "free(@): the block was written past its end: 2 bytes past the end of a block of 24 bytes",
        [("found here", "free_here"), ALLOCATED]),
    "canary_before": (
        ABRT, "free(@): the block was written before its start: 1 byte before the start of a block of 32 bytes",
        [("found here", "free_here"), ALLOCATED]),
    "canary_of_realloc": (
        ABRT, "realloc(@): the block was written past its end: 0 bytes past the end of a block of 100 bytes",
        [("found here", "canary_of_realloc"), ALLOCATED]),
    "canary_of_nothing": (
        ABRT, "free(@): the block was written past its end: 0 bytes past the end of a block of 0 bytes",
        [("found here", "free_here"), ALLOCATED]),
    "read_after_free": (SEGV, "use after free: read at @+5, 5 bytes into a freed block of 32 bytes at @",
                        [("used", "read_here"), ALLOCATED, FREED]),
    "write_after_free": (SEGV, "use after free: write at @+5, 5 bytes into a freed block of 32 bytes at @",
                         [("used", "write_here"), ALLOCATED, FREED]),
    "use_after_realloc": (SEGV, "use after free: read at @, 0 bytes into a freed block of 32 bytes at @",
                          [("used", "read_here"), ALLOCATED, ("freed", "use_after_realloc")]),
    "use_after_many_others": (SEGV, "use after free: read at @, 0 bytes into a freed block of 32 bytes at @",
                              [("used", "read_here"), ALLOCATED, FREED]),
    "freed_by_another_thread": (SEGV, "use after free: read at @, 0 bytes into a freed block of 32 bytes at @",
                                [("used", "read_here"), ALLOCATED, FREED]),
    "double_free": (ABRT, "free(@): double free of a block of 32 bytes", [("here", "free_here"), ALLOCATED, FREED]),
    "free_inside": (ABRT, "free(@+16): not the start of a block: 16 bytes into a block of 32 bytes at @",
                    [("here", "free_here"), ALLOCATED]),
    "free_inside_misaligned": (ABRT, "free(@+1): not the start of a block: 1 byte into a block of 32 bytes at @",
                               [("here", "free_here"), ALLOCATED]),
    "free_before": (
        ABRT, "free(@-16): not the start of a block: 16 bytes before the start of a block of 32 bytes at @",
        [("here", "free_here"), ALLOCATED]),
    "free_inside_freed": (ABRT, "free(@+16): not the start of a block: 16 bytes into a freed block of 32 bytes at @",
                          [("here", "free_here"), ALLOCATED, FREED]),
    "realloc_after_free": (ABRT, "realloc(@): a block of 32 bytes that has been freed",
                           [("here", "realloc_after_free"), ALLOCATED, FREED]),
    "realloc_inside": (ABRT, "realloc(@+16): not the start of a block: 16 bytes into a block of 32 bytes at @",
                       [("here", "realloc_inside"), ALLOCATED]),
    "usable_size_after_free": (ABRT, "malloc_usable_size(@): a block of 32 bytes that has been freed",
                               [("here", "usable_size_after_free"), ALLOCATED, FREED]),
    "free_sized_twice": (ABRT, "free_sized(@): double free of a block of 32 bytes",
                         [("here", "free_sized_twice"), ALLOCATED, FREED]),
    "handler_before": (7, "buffer overflow: write at @+32, 0 bytes past the end of a block of 32 bytes at @",
                       [("used", "write_here"), ALLOCATED]),
    "handler_with_address": (7, "buffer overflow: write at @+32, 0 bytes past the end of a block of 32 bytes at @",
                             [("used", "write_here"), ALLOCATED]),
    "handler_later": (7, NONE, []),
    "handler_later_free": (ABRT, "free(@): double free of a block of 32 bytes",
                           [("here", "free_here"), ALLOCATED, FREED]),
    "handler_jumps": (0, "buffer overflow: write at @+32, 0 bytes past the end of a block of 32 bytes at @",
                      [("used", "write_here"), ALLOCATED]),
    "fault_elsewhere": (SEGV, NONE, []),
    "signal_sent": (SEGV, NONE, []),
    "signal_sent_and_ignored": (0, NONE, []),
    "misuse_in_a_child": (signal.SIGSEGV, "use after free: read at @, 0 bytes into a freed block of 32 bytes at @",
                          [("used", "read_here"), ALLOCATED, FREED]),
}
SOME = {case: CASES[case] for case in (
    "overflow_by_a_read", "underflow_by_a_write", "canary_behind", "read_after_free", "use_after_realloc",
    "double_free", "free_inside", "realloc_after_free")}
# The same of blocks that a profile has sampled.
SAMPLED = {
    "sampled_double_free": (ABRT, "free(@): double free\nit is a freed block of 32 bytes",
                            [("here", "free_here"), ALLOCATED, FREED]),
    "sampled_double_free_of_a_large_block": (
        ABRT, "free(@): double free, or a block that was never allocated\nit is a freed block of 3000000 bytes",
        [("here", "free_here"), ALLOCATED, FREED]),
    "sampled_free_inside": (
        ABRT, "free(@+16): not the start of a block\nit lies 16 bytes into a block of 320 bytes at @",
        [("here", "free_here"), ALLOCATED]),
    "sampled_realloc_after_free": (ABRT, "realloc(@): a block that has been freed\nit is a freed block of 32 bytes",
                                   [("here", "sampled_realloc_after_free"), ALLOCATED, FREED]),
    "sampled_free_by_another_thread": (
        ABRT, "free(@): double free, or a block that was never allocated\nit is a freed block of 32 bytes",
        [("here", "free_here"), ALLOCATED, FREED]),
    "stale_free": (ABRT, "tm_free(@): stale handle: its object was freed\nit is a freed object of 48 bytes",
                   [("here", "object_free_here"), ("allocated", "object_here"), ("freed", "object_free_here")]),
    "stale_pin_of_a_reused_index": (
        ABRT, "tm_pin(@): stale handle: its object was freed, and its index has another one now\n"
              "it is a freed object of 48 bytes",
        [("here", "pin_here"), ("allocated", "object_here"), ("freed", "object_free_here")]),
}
INNOCENT = ("sizes_and_kinds", "threads_and_forks", "more_than_there_is_room_for", "read_by_the_kernel")


def result(good, name, *why):
    print(("ok - " if good else "not ok - ") + name)
    if not good:
        for line in why:
            print("#   " + str(line).replace("\n", "\n#   "))


def run(case, options, program="cases", **more):
    return subprocess.run([os.path.join(TMP, program), case], env=dict(os.environ, TINYMEM=options), timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, **more)


def relative(text, base):
    """Pointers near the one that the program has printed become @, @+N or @-N."""
    def one(match):
        offset = int(match[0], 16) - base
        return match[0] if abs(offset) > 1 << 20 else "@" + (f"{offset:+d}" if offset else "")
    return re.sub(r"0x[0-9a-f]+", one, text)


def read(done):
    """(first line, [(what, innermost function that is ours)]) of a report."""
    first, stacks, named = NONE, [], True
    said = re.search(r"0x[0-9a-f]+", done.stdout)
    for line in done.stderr.splitlines():
        frame = re.fullmatch(r"tinymem:     0x[0-9a-f]+(?: (\w+))?(?: \(\S+\+0x[0-9a-f]+\))?", line)
        stack = re.fullmatch(r"tinymem:   (.*?)(?: by thread \d+)?:", line)
        if frame:
            if not named and frame[1] in OWN:
                stacks[-1] = (stacks[-1][0], frame[1])
                named = True
        elif stack:
            stacks.append((stack[1], ""))
            named = False
        elif first is NONE:
            first = relative(line.removeprefix("tinymem: "), int(said[0], 16) if said else 0)
        else:
            first += "\n" + relative(line.removeprefix("tinymem:   "), int(said[0], 16) if said else 0)
    return first, stacks


def exact(options, program="cases", cases=CASES):
    """The cases whose report is not the one wanted."""
    wrong = {}
    for case, wanted in cases.items():
        done = run(case, options, program)
        got = (done.returncode, *read(done))
        if got != wanted:
            wrong[case] = f"{case}: {got}\n{done.stdout}{done.stderr}"
    return wrong


def reports():
    wrong = exact("guard:1")
    result(not wrong, f"{len(CASES)} programs are reported exactly", *wrong.values())
    for name, options, program in (("by frame pointers", ",unwind:fp", "cases"),
                                   ("without frame pointers", "", "frameless"),
                                   ("while a profile is taken",
                                    ",profile:on,profile_interval:1,profile_file:/dev/null", "cases"),
                                   ("with check:full", ",check:full", "cases")):
        wrong = exact("guard:1" + options, program, SOME)
        result(not wrong, f"{len(SOME)} of them {name}", *wrong.values())
    off = exact("guard:0", cases=SOME)
    result(set(off) == set(SOME), "control: without the option none is reported so", set(SOME) - set(off))
    one = {"double_free": (ABRT, "free(@): double free of a block of 33 bytes", CASES["double_free"][2])}
    result(list(exact("guard:1", cases=one)) == ["double_free"], "control: one number in a message is noticed")


def sampled():
    every = "profile:on,profile_interval:1,profile_file:/dev/null"
    for program, unwind in (("cases", "auto"), ("cases", "fp"), ("frameless", "auto")):
        wrong = exact(f"{every},unwind:{unwind}", program, SAMPLED)
        result(not wrong, f"{len(SAMPLED)} programs are reported with stacks of sampled blocks, {program}, "
                          f"unwind:{unwind}", *wrong.values())
    wrong = exact("", cases={c: (s, line.split("\n")[0], []) for c, (s, line, _) in SAMPLED.items()})
    result(not wrong, "without a profile by their first line only", *wrong.values())
    result(len(exact("", cases=SAMPLED)) == len(SAMPLED), "control: that is noticed")


def handlers():
    result(run("handler_before", "guard:1").stdout.endswith("handler\n"), "the program's handler runs, too")
    result(run("handler_with_address", "guard:1").stdout.endswith("address\n"), "it gets the address")
    result(run("handler_later", "guard:1").stdout.endswith("handler\n"), "so does one that is set later")
    result(run("handler_jumps", "guard:1").stdout.endswith("survived\n"), "a handler may jump, again and again")


def innocent():
    for options in ("guard:1", "guard:3,stats:on,stats_file:/dev/null", "guard:1,check:full",
                    "guard:2,profile:on,profile_interval:1,profile_file:/dev/null"):
        for case in INNOCENT:
            done = run(case, options)
            result(done.returncode == 0 and done.stderr == "", f"no misuse, nothing said: {case}, {options}",
                   done.returncode, done.stderr)


def counts():
    for interval in (10, 1000, 5000):
        n = int(run("how_many", f"guard:{interval}").stdout)
        mean = 1000000 / interval
        spread = 5 * (mean / 3) ** 0.5 # distances are uniform from 1 to 2 N: their variance is N^2 / 3
        result(abs(n - mean) < spread, f"guard:{interval} guards one block in so many: {n} of a million")
    result(int(run("how_many", "guard:0").stdout) == 0, "control: guard:0 guards none")
    done = run("statistics", "guard:1")
    result(done.returncode == 0, "statistics count guarded blocks by their pages", done.stderr)
    done = run("statistics", "guard:2")
    result(done.returncode != 0, "control: with half as many guarded the figures differ")
    done = run("how_many", "guard:10,stats:on")
    allocs = re.search(r"allocs=(\d+) frees=(\d+)", done.stderr)
    result(allocs and 1000000 <= int(allocs[1]) < 1000100 and 1000000 <= int(allocs[2]) < 1000100,
           "stats:on counts guarded blocks, too", done.stderr)
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (60 << 20, 60 << 20))
    done = run("how_many", "guard:10", preexec_fn=limit)
    result(done.returncode == 0 and int(done.stdout) > 50000 and done.stderr == "",
           f"with little address space there are fewer slots: {done.stdout.strip()} blocks", done.stderr)


def main(tmp):
    global TMP
    TMP = tmp
    reports()
    sampled()
    handlers()
    innocent()
    counts()


if __name__ == "__main__":
    main(sys.argv[1])
