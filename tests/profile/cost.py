"""cost.py SCRATCH LOOP HANDLES - what a profile costs at the default interval, in instructions.

callgrind counts those of N rounds and of 2N; their difference is what N rounds cost, without what a process does once:
tables are made, libunwind is opened, the file is written. Programs execute about 1 % more. How much it is in one run
depends on where its samples lie: these are small programs, in whose heaps a watched unit sees a large share of all
frees; perl had from 1.5 % less to 4.7 % more. So three runs are averaged, and the bounds lie four standard deviations
above. The control is the same with an interval of one byte, at which every call takes a slow path.
"""
import os
import re
import shutil
import subprocess
import sys

SCRATCH, LOOP, HANDLES = sys.argv[1:4]
LIBRARY = os.path.join(SCRATCH, "release/libtinymem.so.0")
FILE = os.path.join(SCRATCH, "cost.heap")
ON = f"profile:on,profile_file:{FILE}"
MEAN_MOST, PROGRAM_MOST, RUNS = 3, 6, 3  # per cent
# bytes: instructions of malloc and free that a profile adds at most, and that a process without one takes at most.
# Of large blocks every so many is a sample; one costs some 6600 instructions, with the stacks of malloc and of free.
LOOPS = {16: 6, 48: 6, 200: 16, 1000: 50, 2000: 60, 30000: 420, 100000: 1300}
# The same of tm_alloc and tm_free, none of which takes its fast path: mode of handles.c and its bytes.
OBJECTS = {("alloc", 48): 180, ("alloc-600", 600): 200, ("alloc-30000", 30000): 650}
ROUNDS = 20000
ENOUGH = 5 << 20  # bytes: the first sample costs more, and comes before the rounds that count

PERL = """my (%h, @a); for my $i (1 .. $ARGV[0]) { my $k = "key" . ($i * 7919 % 5021); $h{$k} .= "v$i";
push @a, [$i, $k, {x => $i}] if $i % 3 == 0; shift @a if @a > 500; my @s = split /,/, join(",", map { $_ * $i } 1 .. 5);
$h{$s[2]} = join("-", @s) if $i % 5 == 0; } print scalar(keys %h), "\\n";"""
PYTHON = """import sys
d, l = {}, []
for i in range(int(sys.argv[1])):
    k = "key%d" % (i * 7919 % 5021); d[k] = d.get(k, "") + "v%d" % i; l.append([i, k, {"x": i}, bytearray(i % 3000)])
    if len(l) > 500: l = l[250:]
    d[i % 100] = ",".join(str(x * i) for x in range(5)).split(",")
print(len(d))"""
LUA = """local t, l = {}, {}
for i = 1, tonumber(arg[1]) do
  local k = "key" .. (i * 7919 % 5021); t[k] = (t[k] or "") .. "v" .. i; l[i % 500] = {i, k, {x = i}}
  local s = {}; for j = 1, 5 do s[j] = tostring(j * i) end; if i % 5 == 0 then t[s[3]] = s end
end print(#l)"""
PROGRAMS = (
    ("perl", ("perl", "-e", PERL), 8000),
    ("python3", ("/usr/bin/python3", "-c", PYTHON), 3000),
    ("lua", (shutil.which("lua5.4") or shutil.which("lua") or "lua", "-"), 8000),
)


def tap(good, name, *why):
    print(("ok - " if good else "not ok - ") + name, flush=True)
    for line in why if not good else ():
        print("#   " + str(line)[:1500], flush=True)


def instructions(options, command, text=None):
    env = dict(os.environ, LD_PRELOAD=LIBRARY, TINYMEM=options, PYTHONHASHSEED="0", PERL_HASH_SEED="0")
    run = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *command],
        env=env, input=text, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
    )
    found = re.search(r"refs:\s+([\d,]+)", run.stderr)
    if run.returncode != 0 or found is None:
        raise OSError(run.stderr[-1000:])
    return int(found.group(1).replace(",", ""))


def rounds(options, command, n, text=None):
    """Instructions of n rounds."""
    return instructions(options, (*command, str(2 * n)), text) - instructions(options, (*command, str(n)), text)


def test_loops():
    for size, most in LOOPS.items():
        each, n = [], max(ROUNDS, ENOUGH // size)
        for options in ("profile:off", ON):
            more, less = (instructions(options, (LOOP, "one", str(k), str(size))) for k in (2 * n, n))
            each.append((more - less) / n)
        added = each[1] - each[0]
        what = f"malloc and free of {size} bytes: {added:.1f} instructions on top of {each[0]:.0f}, at most {most}"
        tap(added <= most, what, *each)


def test_handles():
    for (mode, size), most in OBJECTS.items():
        each, n = [], max(ROUNDS, ENOUGH // size)
        for options in ("profile:off", ON, ON + ",profile_interval:1,unwind:fp"):
            each.append(rounds(options + ",compaction:manual", (HANDLES, mode), n) / n)
        added = each[1] - each[0]
        what = f"tm_alloc and tm_free of {size} bytes: {added:.1f} instructions on top of {each[0]:.0f}, at most {most}"
        tap(added <= most, what, *each)
        added = each[2] - each[0]
        tap(added > most, f"control: with an interval of one byte {added:.0f} instructions", *each)


def test_programs():
    each = []
    for name, command, n in PROGRAMS:
        if shutil.which(command[0]) is None:
            print(f"ok - {name} # SKIP it is not here")
            continue
        text = LUA if name == "lua" else None
        off = rounds("profile:off", command, n, text)
        on = sum(rounds(ON, command, n, text) for _ in range(RUNS)) / RUNS
        added = (on / off - 1) * 100
        tap(added <= PROGRAM_MOST, f"{name}: {added:.2f} % more instructions, at most {PROGRAM_MOST} %", off, on)
        each.append(added)
        if name == "perl":
            added = (rounds(ON + ",profile_interval:1,unwind:none", command, n) / off - 1) * 100
            tap(added > PROGRAM_MOST, f"control: {name} with an interval of one byte has {added:.0f} % more", added)
    mean = sum(each) / len(each)
    tap(mean <= MEAN_MOST, f"programs: {mean:.2f} % more instructions on average, at most {MEAN_MOST} %", *each)


try:
    test_loops()
    test_handles()
    test_programs()
except OSError as e:
    tap(False, "callgrind runs", e)
