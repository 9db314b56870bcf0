"""objects.py N - dicts, lists, JSON, sorting, and classes of a small inventory program. Prints a checksum."""

import json
import sys


class Item:
    def __init__(self, key, price, tags):
        self.key = key
        self.price = price
        self.tags = tags

    def record(self):
        return {"key": self.key, "price": self.price, "tags": self.tags}


class Random:
    def __init__(self, state):
        self.state = state

    def below(self, n):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) & (2 ** 64 - 1)
        return (self.state >> 33) % n


def one_round(rng, kept):
    items = [Item("item-%d" % rng.below(10 ** 6), rng.below(10 ** 4), ["tag%d" % rng.below(50) for _ in range(3)])
             for _ in range(12000)]
    text = json.dumps([i.record() for i in items])
    back = json.loads(text)
    by_tag = {}
    for record in back:
        for tag in record["tags"]:
            by_tag.setdefault(tag, []).append((record["price"], record["key"]))
    total = 0
    for tag in sorted(by_tag):
        best = sorted(by_tag[tag])[:20]
        total += sum(price for price, _ in best)
    kept.append(items[::7])
    if len(kept) > 8:
        del kept[rng.below(len(kept))]
    return total + len(text)


def main():
    rng, kept, total = Random(1), [], 0
    for _ in range(int(sys.argv[1])):
        total += one_round(rng, kept)
    print("checksum", total, sum(len(k) for k in kept))


main()
