"""Inputs of the programs. They are generated once and are the same on every machine."""

import os
import shutil
import subprocess
import sys

from . import paths

REPOSITORY_VERSION = "3"     # to be raised when the generator changes


class Random:
    """A random generator that does not depend on Python's version: 64-bit linear congruential, upper bits."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) & (2 ** 64 - 1)
        return (self.state >> 33) % n

    def choice(self, items):
        return items[self.below(len(items))]


def words(rng, n):
    syllables = ("ka", "lo", "mi", "ter", "un", "sa", "ver", "ix", "or", "nel", "pa", "du")
    return ["".join(rng.choice(syllables) for _ in range(1 + rng.below(4))) for _ in range(n)]


def write_once(path, text):
    if not os.path.exists(path):
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.replace(path + ".new", path)


def sqlite(program, ctx):
    """The SQL script for the amount of work. sqlite generates the rows itself."""
    n = ctx.work(program)
    with open(os.path.join(paths.SCRIPTS, "tables.sql"), encoding="utf-8") as f:
        write_once(os.path.join(paths.DATA, "sqlite-%d.sql" % n), f.read().replace("@ROWS@", str(n * 1000)))


class History:
    """A stream for git fast-import: files of code-like lines, small edits, new files, renames."""

    def __init__(self, commits):
        self.rng = Random(2024)
        self.vocabulary = words(self.rng, 3000)
        self.files = {}
        self.commits = commits

    def line(self):
        indent = "    " * self.rng.below(4)
        return indent + " ".join(self.rng.choice(self.vocabulary) for _ in range(1 + self.rng.below(8)))

    def new_file(self):
        name = "%s/%s-%d.c" % (self.rng.choice(self.vocabulary), self.rng.choice(self.vocabulary), len(self.files))
        self.files[name] = [self.line() for _ in range(40 + self.rng.below(400))]
        return name

    def edit(self, name):
        lines = self.files[name]
        for _ in range(1 + self.rng.below(12)):
            at = self.rng.below(len(lines))
            lines[at:at + self.rng.below(3)] = [self.line() for _ in range(self.rng.below(4))]
        lines.append(self.line())

    def rename(self):
        old = self.rng.choice(sorted(self.files))
        new = "%s/%s-%d.c" % (self.rng.choice(self.vocabulary), self.rng.choice(self.vocabulary), len(self.files))
        self.files[new] = self.files.pop(old)
        return old, new

    def commit(self, i):
        message = " ".join(self.rng.choice(self.vocabulary) for _ in range(12)).encode()
        out = [b"commit refs/heads/main\ncommitter Bench <bench@example.org> %d +0000\ndata %d\n%b\n" % (
            1500000000 + 3600 * i, len(message), message)]
        names = [self.new_file()] if i % 6 == 0 else []
        if i % 40 == 39:
            old, new = self.rename()
            out.append(b"R %b %b\n" % (old.encode(), new.encode()))
            names.append(new)
        existing = sorted(self.files)
        names += [self.rng.choice(existing) for _ in range(3)]
        for name in dict.fromkeys(names):
            self.edit(name)
            body = "\n".join(self.files[name]).encode()
            out.append(b"M 644 inline %b\ndata %d\n%b\n" % (name.encode(), len(body), body))
        return b"".join(out)

    def stream(self):
        for i in range(self.commits):
            yield self.commit(i)


def repository(_program, _ctx):
    """A bare repository with a few thousand commits in one pack."""
    where = os.path.join(paths.DATA, "repository")
    stamp = os.path.join(paths.DATA, "repository.version")
    if os.path.exists(stamp) and open(stamp, encoding="utf-8").read() == REPOSITORY_VERSION:
        return
    print("bench: generating a git repository", file=sys.stderr)
    shutil.rmtree(where, ignore_errors=True)
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(["git", "init", "--bare", "-b", "main", where], **quiet)
    importer = subprocess.Popen(["git", "-C", where, "fast-import", "--quiet"], stdin=subprocess.PIPE)
    for part in History(5000).stream():
        importer.stdin.write(part)
    importer.stdin.close()
    if importer.wait():
        raise RuntimeError("git fast-import failed")
    subprocess.run(["git", "-C", where, "config", "gc.auto", "0"], **quiet)
    with open(stamp, "w", encoding="utf-8") as f:
        f.write(REPOSITORY_VERSION)


def prepare(programs, ctx):
    """Generate the missing inputs of the programs."""
    os.makedirs(paths.DATA, exist_ok=True)
    for program in programs:
        for name in program.inputs:
            globals()[name](program, ctx)
