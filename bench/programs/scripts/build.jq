# build.jq, with --argjson n N - builds, groups, sorts and prints JSON; the output is a checksum.
def record($i):
  { id: $i, name: "name-\($i * 7919 % 1000)", tags: [range(0; 4) | "t\(($i * 31 + .) % 40)"],
    nested: { a: ($i % 17), b: [($i % 5), { c: "x\($i % 13)" }] } };

def one_round($r):
  [range(0; 3000) | record(. + $r)]
  | group_by(.name)
  | map({ key: .[0].name, value: (map(.tags[]) | unique | sort) })
  | from_entries
  | tojson
  | (fromjson | [paths(scalars)] | length) + length;

reduce range(0; $n) as $r (0; . + one_round($r))
