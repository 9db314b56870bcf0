"""The allocators: where each one is found, its version, and the note for a missing one."""

import ctypes
import dataclasses
import glob
import hashlib
import os
import platform
import re
import subprocess
from dataclasses import dataclass, field
from typing import Optional

from . import paths


@dataclass
class Allocator:
    name: str
    path: Optional[str]               # the shared object; None: missing
    version: str
    note: str = ""                    # why it is missing, or a description
    peer: bool = True                 # may be the best peer
    variant: str = ""                 # suffix of the programs' names: it runs programs that are built differently
    extra: dict = field(default_factory=dict)

    def record(self):
        return {"name": self.name, "library": os.path.basename(self.path) if self.path else None,
                "version": self.version, "note": self.note, "peer": self.peer,
                "variant": self.variant, **self.extra}


# name -> (shared object, Debian package)
PACKAGED = {
    "jemalloc": ("libjemalloc.so.2", "libjemalloc2"),
    "mimalloc": ("libmimalloc.so.2", "libmimalloc2.0"),
    "tcmalloc": ("libtcmalloc_minimal.so.4", "libtcmalloc-minimal4"),
    "tbbmalloc": ("libtbbmalloc_proxy.so.2", "libtbbmalloc2"),
}
HANDLES = "tinymem-handles"
NAMES = ["glibc", *PACKAGED, "tinymem", HANDLES, "slow"]
DEFAULT = ["glibc", *PACKAGED, "tinymem", HANDLES]


def library_path(soname):
    """The full path of a library in the dynamic loader's cache, or None."""
    for tool in ("/sbin/ldconfig", "ldconfig"):
        try:
            cache = subprocess.run([tool, "-p"], capture_output=True, text=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError):
            continue
        found = re.search(r"^\s+%s \([^)]*x86-64[^)]*\) => (\S+)$" % re.escape(soname), cache, re.M) or \
            re.search(r"^\s+%s \([^)]*\) => (\S+)$" % re.escape(soname), cache, re.M)
        if found:
            return found.group(1)
    places = glob.glob("/lib/*/%s" % soname) + glob.glob("/usr/lib/*/%s" % soname)
    return places[0] if places else None


def package_version(package):
    try:
        done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def file_digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()[:12]


def glibc():
    get_version = ctypes.CDLL(None).gnu_get_libc_version
    get_version.restype = ctypes.c_char_p
    package = package_version("libc6")
    version = get_version().decode() + (" (Debian %s)" % package if package else "")
    return Allocator("glibc", library_path("libc.so.6"), version, "the base of all ratios", peer=False)


def packaged(name):
    soname, package = PACKAGED[name]
    path = library_path(soname)
    if not path:
        return Allocator(name, None, "", "missing: package %s is not installed" % package)
    return Allocator(name, path, package_version(package) or "unknown", "Debian package " + package)


def library_commit():
    """The commit that the library is built from. "dirty" if sources of the library differ from it; changes to published
    figures do not count."""
    def git(*words):
        return subprocess.run(["git", "-C", paths.ROOT, *words], capture_output=True, text=True)
    try:
        described = git("describe", "--always", "--tags").stdout.strip()
        changed = git("diff", "--quiet", "HEAD", "--", "CMakeLists.txt", "lib", "include", "preload").returncode
    except OSError:
        return ""
    return described + ("-dirty" if described and changed else "")


def tinymem():
    if not os.path.exists(paths.TINYMEM):
        return Allocator("tinymem", None, "", "missing: build/release/libtinymem.so has not been built", peer=False)
    return Allocator("tinymem", paths.TINYMEM, library_commit() or "uncommitted", "release build", peer=False,
                     extra={"sha256": file_digest(paths.TINYMEM)})


def handles(library):
    """The movable heap of the same library, for programs that are built to use it."""
    note = "tm_alloc, tm_pin and tm_free instead of malloc" if library.path else library.note
    return dataclasses.replace(library, name=HANDLES, note=note, variant="-handles")


def slow():
    path = paths.SLOW if os.path.exists(paths.SLOW) else None
    return Allocator("slow", path, "-", "control: slow on purpose", peer=False)


def given(name, path):
    """An allocator from --with: identified by its file name and digest."""
    return Allocator(name, os.path.abspath(path), "sha256 " + file_digest(path), "given by --with",
                     peer=name != "tinymem")


def find(names, extra):
    """The chosen allocators in order. `extra` maps names to files. glibc is always the first, since ratios need it."""
    chosen = []
    for name in dict.fromkeys(["glibc", *names]):
        if name in extra:
            chosen.append(given(name, extra[name]))
        elif name == "glibc":
            chosen.append(glibc())
        elif name in PACKAGED:
            chosen.append(packaged(name))
        elif name == HANDLES:
            chosen.append(handles(given("tinymem", extra["tinymem"]) if "tinymem" in extra else tinymem()))
        else:
            chosen.append(tinymem() if name == "tinymem" else slow())
    return chosen


def machine():
    """The properties of the machine that a reader needs to judge the figures."""
    def first(path, pattern):
        try:
            with open(path, encoding="utf-8") as f:
                found = re.search(pattern, f.read())
            return found.group(1).strip() if found else "unknown"
        except OSError:
            return "unknown"

    return {
        "kernel": platform.release(),
        "arch": platform.machine(),
        "cpu": first("/proc/cpuinfo", r"model name\s*:\s*(.*)"),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_mib": int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20),
        "thp": first("/sys/kernel/mm/transparent_hugepage/enabled", r"\[(\w+)\]"),
        "system": first("/etc/os-release", r'PRETTY_NAME="([^"]*)"'),
        "load_before": round(os.getloadavg()[0], 2),
    }
