"""pss.py PROGRAM LIBRARY - sample the program's PSS from outside before and after it frees, with the library and, as a
control, on libc."""
import os
import subprocess
import sys
import time

TOTAL = 256 << 20
TICKING = 4.0  # seconds


def pss(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return next(int(line.split()[1]) << 10 for line in f if line.startswith("Pss:"))


def sample(program, size, library):
    """(PSS when full, PSS after ticking), in bytes."""
    env = dict(os.environ, **({"LD_PRELOAD": library} if library else {}))
    with subprocess.Popen([program, str(size)], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as process:
        process.stdout.readline()
        full = pss(process.pid)
        process.stdin.write("\n")
        process.stdin.flush()
        process.stdout.readline()
        time.sleep(TICKING)
        thin = pss(process.pid)
        process.stdin.close()
        process.wait()
    return full, thin


def report(good, name):
    print(f"{'ok' if good else 'not ok'} - {name}")


def main(program, library):
    # The blocks that stay are 2 %. Whole pages: they and metadata. 512 B: pages with none of 8 left, 85 %, are empty.
    for size, most in ((16384, 0.10), (4096, 0.10), (512, 0.25)):
        full, thin = sample(program, size, library)
        report(full >= TOTAL and thin <= most * full,
               f"blocks of {size} bytes, 2 % kept: PSS falls from {full >> 20} to {thin >> 20} MiB, "
               f"at most {most:.0%} stay")
    full, thin = sample(program, 4096, "")
    report(thin > 0.10 * full, f"control: on libc it falls from {full >> 20} to {thin >> 20} MiB only")


main(sys.argv[1], sys.argv[2])
