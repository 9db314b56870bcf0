"""frame.py ROWS_IN_THOUSANDS - a large table is built, grouped and dropped, and the interpreter then waits.

Prints figures: anonymous memory over that at the start, at the peak and seconds later."""
import re
import sys
import time


def anonymous():
    with open("/proc/self/smaps_rollup", encoding="ascii") as f:
        return int(re.search(r"^Anonymous:\s+(\d+)", f.read(), re.M).group(1)) / 1024


def build(n):
    rows = [{"id": i, "name": "row %d" % i, "value": i * 0.5, "tags": [i % 7, str(i % 100)]} for i in range(n)]
    groups = {}
    for row in rows:
        groups.setdefault(row["tags"][1], []).append(row["value"])
    sums = {key: sum(values) for key, values in groups.items()}
    return anonymous(), len(sums)


before = anonymous()
peak, _ = build(int(sys.argv[1]) * 1000)
time.sleep(3)
print("peak, MiB = %.1f" % (peak - before))
print("asleep 3 s later, MiB = %.1f" % (anonymous() - before))
