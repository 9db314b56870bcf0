"""counts.py TMP - instructions of look-up, alloc and free, as callgrind counts them in TMP/counts."""
import re
import subprocess
import sys

N, LIVE = 24000, {8: 120, 16: 3000, 32: 3000}
# typical ones; random sizes: what is reached, held so that it gets no worse
MOST_PAIR = {"stack": 100, "same": 100, "mixed": 660}
MOST_LOOK_UP = 3


def callgrind(tmp, mode, width, n, functions):
    """Instructions in these functions, those that they call included."""
    run = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={tmp}/callgrind.out"] +
                         ["--toggle-collect=" + f for f in functions] + [f"{tmp}/counts", mode, str(width), str(n)],
                         stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, check=False)
    found = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode or not found:
        sys.exit("not ok - callgrind runs\n# " + run.stderr.replace("\n", "\n# "))
    return int(found[1])


def result(good, name):
    print(("ok - " if good else "not ok - ") + name)


def main(tmp):
    for width in (8, 16, 32):
        with_it = callgrind(tmp, "deref", width, N, [f"look_up{width}"])
        without = callgrind(tmp, "deref", width, N, ["look_nothing"])
        each = (with_it - without) / N
        result(0 < each <= MOST_LOOK_UP + 0.05,
               f"look-up with {width}-bit indices: {each:.2f} instructions, at most {MOST_LOOK_UP}")
    for width in (8, 16, 32):
        for mode, most in MOST_PAIR.items():
            counts = [callgrind(tmp, mode, width, n, ["tm_pool_alloc", "tm_pool_free"]) for n in (N, 2 * N)]
            pair = (counts[1] - counts[0]) / N
            result(pair <= most,
                   f"free and alloc, {mode}, {width}-bit indices: {pair:.0f} instructions, at most {most}")


main(sys.argv[1])
