"""text.py N - regular expressions, the compiler, ast and pickle over generated source text. Prints a checksum."""

import ast
import pickle
import re
import sys
import zlib


def source(seed, functions):
    parts, state = [], seed
    for i in range(functions):
        state = (state * 1103515245 + 12345) % 2 ** 31
        parts.append("def f%d(a, b=%d, *rest):\n"
                     "    '''Adds %s and more.'''\n"
                     "    table = {'k%d': [a, b, %d], 'other': (a * %d, [x for x in rest if x > %d])}\n"
                     "    for name, value in table.items():\n"
                     "        if name != 'k%d' and len(value) > 1:\n"
                     "            return lambda q: q + a * %d - b\n"
                     "    return table\n" % (i, state % 97, "word" * (state % 5), state % 31, state % 1009,
                                             state % 7, state % 11, state % 13, state % 17))
    return "\n".join(parts)


def one_round(i):
    text = source(i + 1, 150)
    tree = ast.parse(text)
    names = [n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    code = compile(tree, "generated", "exec")
    space = {}
    exec(code, space)
    words = re.findall(r"[A-Za-z_]\w*", text)
    lines = re.sub(r"(\w+)\s*=\s*(\w+)", r"\2 <- \1", text).split("\n")
    counts = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    frozen = pickle.dumps((names, counts, lines))
    thawed = pickle.loads(frozen)
    return zlib.crc32(repr(sorted(thawed[1].items())).encode()) + len(frozen) + len(space)


def main():
    print("checksum", sum(one_round(i) for i in range(int(sys.argv[1]))))


main()
