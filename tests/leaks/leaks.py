"""leaks.py TMP - known leaks are reported by call site, to the byte, and told from what is still pointed to."""
import os
import re
import subprocess
import sys

TMP = ""
OWN = ("lost_here", "kept_here", "list_here", "kept_object", "lost_object")
EXACT = "leaks:on,profile_interval:1"

# case: what is lost, what can be reached: {call site: (bytes, blocks)}
CASES = {
    "nothing": ({}, {}),
    "one": ({"lost_here": (1000, 1)}, {}),
    "a_static_pointer": ({}, {"kept_here": (1000, 1)}),
    "a_pointer_inside": ({}, {"kept_here": (1000, 1)}),
    "a_large_one": ({"lost_here": (3000000, 1)}, {}),
    "a_list_that_is_kept": ({}, {"list_here": (6400, 100)}),
    "a_list_that_is_lost": ({"list_here": (6400, 100)}, {}),
    "a_ring_that_is_lost": ({"list_here": (6400, 100)}, {}),
    "both": ({"lost_here": (3200, 100)}, {"kept_here": (6400, 100)}),
    "a_freed_block_that_points": ({"lost_here": (4800, 100)}, {}),
    "in_a_mapping": ({}, {"kept_here": (100, 1)}),
    "on_the_stack_of_a_thread": ({}, {"kept_here": (200, 1)}),
    "thread_local_storage": ({}, {"kept_here": (300, 1)}),
    "handles": ({"lost_object": (600, 1)}, {"kept_object": (400, 1), "kept_here": (500, 1)}),
    "hidden": ({"lost_here": (100, 1)}, {}),  # what the manual says that it does not see
    "amid_churn": ({"lost_here": (12300, 100)}, {}),
}


def result(good, name, *why):
    print(("ok - " if good else "not ok - ") + name)
    if not good:
        for line in why:
            print("#   " + str(line).replace("\n", "\n#   "))


def run(case, options, program="cases"):
    return subprocess.run([os.path.join(TMP, program), case], env=dict(os.environ, TINYMEM=options), timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)


def read(text):
    """[lost, reached] of a report, the test's own call sites only; None where there is none."""
    found = [{}, {}]
    if not re.search(r"^lost, nothing points to them: (about )?\d+ bytes? in \d+ blocks?$", text, re.M):
        return None
    kind = 0
    for line in text.splitlines():
        if line.startswith("live, and pointed to: "):
            kind = 1
        row = re.fullmatch(r"  (?:about )?(\d+) bytes? in (\d+) blocks?: (\w+)( < .*)?", line)
        if row and row[3] in OWN:
            was = found[kind].get(row[3], (0, 0))
            found[kind][row[3]] = (was[0] + int(row[1]), was[1] + int(row[2]))
    return tuple(found)


def main(tmp):
    global TMP
    TMP = tmp
    for program in ("cases", "frameless"):
        for case, wanted in CASES.items():
            done = run(case, EXACT, program)
            result(done.returncode == 0 and read(done.stderr) == wanted, f"{program}: {case}", done.returncode,
                   read(done.stderr), done.stderr)
    result(run("one", "").stderr == "", "control: without the option nothing is said")
    done = run("a_large_one", "leaks:on,profile_interval:10000")
    result(read(done.stderr) == CASES["a_large_one"] and "about 3000000 bytes in 1 block" in done.stderr,
           "a sampled leak is an estimate, and says so", done.stderr)
    done = run("one", "leaks:on,profile_interval:1,guard:1")
    result(read(done.stderr) == CASES["one"], "a guarded block is lost, too", done.stderr)
    path = os.path.join(TMP, "file")
    done = run("one", f"profile:on,profile_format:leaks,profile_interval:1,profile_file:{path}")
    with open(path, encoding="utf-8") as f:
        result(read(f.read()) == CASES["one"] and done.stderr == "", "as a profile it goes to a file", done.stderr)
    done = run("on_demand", "profile:on,profile_format:leaks,profile_interval:1,profile_file:/dev/null")
    result(read(done.stdout) == ({"lost_here": (1000, 1)}, {"kept_here": (700, 1)}), "it is written on demand",
           done.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
