"""stack.py FILE.ci LIMIT - the deepest stack of each function of a file compiled with -fcallgraph-info=su, own frames
and those it calls.

Prints a result line. Fails over LIMIT bytes, on recursion, and on a frame whose size is not static. Functions outside
(mem*, the caller's clock and writer) are not counted."""
import re
import sys

NODE = re.compile(r'node: \{ title: "([^"]+)" label: "([^"]*)"')
EDGE = re.compile(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"')


def main(path, limit):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    frames, calls, odd = {}, {}, []
    for title, label in NODE.findall(text):
        found = re.search(r'(\d+) bytes \((\w+)\)', label)
        frames[title] = int(found[1]) if found else 0
        if found and found[2] != "static":
            odd.append(title)
    for source, target in EDGE.findall(text):
        calls.setdefault(source, set()).add(target)
    known = {}

    def depth(name, above):
        if name in above:
            odd.append("recursion: " + name)
            return (0, [])
        if name not in known:
            below = max((depth(n, above | {name}) for n in calls.get(name, ())), default=(0, []))
            known[name] = (frames.get(name, 0) + below[0], [name] + below[1])
        return known[name]

    worst = max(depth(name, frozenset()) for name in frames)
    good = not odd and 0 < worst[0] <= limit
    way = " > ".join(name.split(":")[-1] for name in worst[1])
    print(f"{'ok' if good else 'not ok'} - deepest stack: {worst[0]} of {limit} bytes, {way} {' '.join(odd)}")
    return not good


sys.exit(main(sys.argv[1], int(sys.argv[2])))
