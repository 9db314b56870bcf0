"""Paths of files and folders. Reports show only the file names of libraries, so that they can be published."""

import os
import tempfile

ROOT = os.environ.get("BENCH_ROOT") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BENCH = os.path.join(ROOT, "bench")
BUILD = os.path.join(ROOT, "build", "bench")
BIN = os.path.join(BUILD, "bin")
LIB = os.path.join(BUILD, "lib")
SCRIPTS = os.path.join(BENCH, "programs", "scripts")
DATA = os.path.join(BUILD, "data")
RESULTS = os.path.join(BUILD, "results")

MEASURE = os.path.join(BIN, "measure")
PROBE = os.path.join(LIB, "probe.so")
RECORDER = os.path.join(LIB, "recorder.so")
REPLAY = os.path.join(BIN, "need-replay")
SLOW = os.path.join(LIB, "slow_malloc.so")
TINYMEM = os.path.join(ROOT, "build", "release", "libtinymem.so")


def scratch():
    """A new directory for one run; in memory if possible, so that the disk does not influence the times."""
    for base in ("/dev/shm", None):
        try:
            return tempfile.TemporaryDirectory(prefix="bench-", dir=base)
        except OSError:
            continue
    raise OSError("no place for temporary files")
