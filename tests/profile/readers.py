"""readers.py - the forms of a profile, read without the tools that read them."""
import os
import re
import subprocess


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return value, at


def fields(data):
    """[(field, value)] of a message of protocol buffers."""
    at, found = 0, []
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 2:
            length, at = varint(data, at)
            value, at = data[at : at + length], at + length
            if len(value) != length:
                raise ValueError("cut off")
        else:
            raise ValueError(f"wire type {key & 7}")
        found.append((key >> 3, value))
    return found


def packed(data):
    at, values = 0, []
    while at < len(data):
        value, at = varint(data, at)
        values.append(value)
    return values


class Pprof:
    """A profile.proto."""

    def __init__(self, data):
        top = fields(data)
        self.strings = [v.decode() for f, v in top if f == 6]
        if self.strings[0] != "":
            raise ValueError("the first string is not empty")
        self.types = [(self.strings[t[1]], self.strings[t[2]]) for t in (dict(fields(v)) for f, v in top if f == 1)]
        self.mappings = {
            m[1]: (m[2], m[3], m.get(4, 0), self.strings[m[5]]) for m in (dict(fields(v)) for f, v in top if f == 3)
        }
        self.locations = {}
        for place in (dict(fields(v)) for f, v in top if f == 4):
            if place[1] in self.locations:
                raise ValueError("a location twice")
            self.locations[place[1]] = (place.get(2, 0), place[3])
        self.samples = []
        for s in (fields(v) for f, v in top if f == 2):
            s = dict(s)
            self.samples.append((packed(s.get(1, b"")), packed(s[2])))
        self.period = dict(top)[12]
        for ids, values in self.samples:
            if len(values) != len(self.types) or any(i not in self.locations for i in ids):
                raise ValueError("a sample without its locations or values")
        for mapping, address in self.locations.values():
            if mapping and not self.mappings[mapping][0] <= address < self.mappings[mapping][1]:
                raise ValueError("an address outside its mapping")


def functions(program):
    """Sorted [(address, name)] of a program."""
    text = subprocess.run(
        ["nm", "-n", "--defined-only", program], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    return [(int(a, 16), n) for a, t, n in map(str.split, text.splitlines()) if t in "tT"]


def name_in(table, address):
    best = ""
    for start, name in table:
        if start > address:
            break
        best = name
    return best


def by_site(profile, program):
    """{innermost function: [alloc objects, alloc bytes, objects, bytes]}"""
    table, sums = functions(program), {}
    for ids, values in profile.samples:
        name = "?"
        if ids:
            mapping, address = profile.locations[ids[0]]
            start, _, offset, path = profile.mappings.get(mapping, (0, 0, 0, ""))
            if os.path.realpath(path) == os.path.realpath(program):
                name = name_in(table, address - start + offset)
        row = sums.setdefault(name, [0] * 4)
        for i in range(4):
            row[i] += values[i]
    return sums


def legacy(text):
    """(interval, [(live blocks, live bytes, all blocks, all bytes, addresses)]); ValueError if it is not the format."""
    head = re.match(
        r"heap profile: +(\d+): +(\d+) +\[ *(\d+): +(\d+)\] @ heap_v2/(\d+)\n",
        text.replace("profile: ", "profile:  ", 1),
    )
    if not head:
        raise ValueError("head")
    body, maps = text.split("\n", 1)[1].split("\nMAPPED_LIBRARIES:\n")
    rows = []
    for line in body.splitlines():
        m = re.fullmatch(r"(\d+): (\d+) \[(\d+): (\d+)\] @((?: 0x[0-9a-f]+)*)", line)
        if not m:
            raise ValueError(line)
        rows.append((*map(int, m.groups()[:4]), [int(a, 16) for a in m[5].split()]))
    if [sum(r[i] for r in rows) for i in range(4)] != [
        int(head[i]) for i in range(1, 5)
    ] or "/work" not in maps + "/work":
        raise ValueError("sums")
    return int(head[5]), rows


def read_pprof(path):
    with open(path, "rb") as f:
        return Pprof(f.read())


def read_text(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def folded(path):
    """{innermost function: bytes}"""
    sums = {}
    for line in read_text(path).splitlines():
        stack, count = line.rsplit(" ", 1)
        name = stack.split(";")[-1]
        sums[name] = sums.get(name, 0) + int(count)
    return sums


def hostages(profile, program):
    """{innermost function: hostage bytes}"""
    column = profile.types.index(("hostage_space", "bytes"))
    rotated = [(ids, [values[column]] * 4) for ids, values in profile.samples]
    profile.samples, kept = rotated, profile.samples
    sums = {name: row[0] for name, row in by_site(profile, program).items()}
    profile.samples = kept
    return sums
