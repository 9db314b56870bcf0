"""profile.py SCRATCH SOURCES - what the sampled profile says about programs whose allocations are known.

Estimates are compared with the truth, in units of their standard error. Each check has a control: the same check must
refuse what a wrong sampler, or a doctored file, would give.
"""
import json
import math
import os
import random
import re
import resource
import shutil
import subprocess
import sys

from readers import by_site, folded, hostages, legacy, read_pprof, read_text

SCRATCH, SOURCES = sys.argv[1:3]
MANY = 20000
PATIENCE = 150
# {site: (blocks allocated, bytes of each, blocks in use at the end)}, of `work sites`
SITES = {
    "site_small": (MANY, 100, MANY),
    "site_page": (MANY // 4, 5000, MANY // 4),
    "site_medium": (MANY // 100, 100000, MANY // 100),
    "site_large": (MANY // 2000, 2000000, MANY // 2000),
    "site_zeroed": (MANY // 2, 300, MANY // 2),
    "site_aligned": (MANY // 8, 700, MANY // 8),
    "site_resized": (MANY // 8, 1500, MANY // 8),
    "site_loop": (MANY, 48, 0),
    "site_handle": (MANY // 2, 200, MANY // 2),
    "site_big_handle": (MANY // 100, 60000, MANY // 100),
    "site_handle_loop": (MANY, 64, 0),
}


def tap(good, name, *why):
    print(("ok - " if good else "not ok - ") + name, flush=True)
    for line in why[:6] if not good else ():
        print("#   " + str(line)[:1500], flush=True)


def run(options, *command, program="work", build="release", **more):
    """(exit status, stdout, stderr)"""
    env = dict(os.environ, TINYMEM=options, LD_LIBRARY_PATH=os.path.join(SCRATCH, build))
    try:
        done = subprocess.run(
            [os.path.join(SCRATCH, program), *command],
            env=env,
            cwd=SCRATCH,
            text=True,
            timeout=PATIENCE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            check=False,
            **more,
        )
    except subprocess.TimeoutExpired:
        return "it hung", "", ""
    return done.returncode, done.stdout, done.stderr


def path_of(name):
    return os.path.join(SCRATCH, name)


# ---- estimates -----------------------------------------------------------------------------------------------------


def error_of(blocks, size, interval):
    """Standard error of the estimated bytes."""
    p = 1 - math.exp(-size / interval)
    return size * math.sqrt(blocks * (1 - p) / p)


def estimate_faults(runs, interval, what=SITES):
    """How estimates, one {site: [alloc bytes, bytes in use]} a run, differ from the truth: each by more than 5.5
    standard errors, or their mean by more than 4.5."""
    faults = []
    for name, (blocks, size, live) in what.items():
        for column, true_blocks in ((0, blocks), (1, live)):
            got = [r.get(name, [0, 0])[column] for r in runs]
            error, true = error_of(true_blocks, size, interval), true_blocks * size
            slack = 1 + 1e-3 * true  # exact ones are rounded
            for g in got:
                if abs(g - true) > 5.5 * error + slack:
                    faults.append(f"{name}: {g} instead of {true} +- {error:.0f}")
            mean = sum(got) / len(got)
            if abs(mean - true) > 4.5 * error / math.sqrt(len(got)) + slack:
                faults.append(f"{name}: {mean:.0f} on average instead of {true} +- {error / math.sqrt(len(got)):.0f}")
    return faults


def test_estimates():
    interval, runs, raw = 1 << 16, [], []
    for i in range(20):
        path = path_of(f"seed{i}.pb")
        run(f"profile:on,profile_format:pprof,profile_file:{path},profile_interval:{interval}", "sites")
        sums = by_site(read_pprof(path), path_of("work"))
        runs.append({name: [v[1], v[3]] for name, v in sums.items()})
    faults = estimate_faults(runs, interval)
    tap(not faults, "over 20 seeds the estimates of 11 sites are within their errors", *faults)
    for r in runs:  # as if each sample counted once: its own size
        raw.append({n: [v * (1 - math.exp(-SITES[n][1] / interval)) for v in r[n]] for n in r if n in SITES})
    tap(bool(estimate_faults(raw, interval)), "control: samples that stand for themselves alone are refused")


def test_fixed_distance():
    """Two sites take turns, and their sizes fill the interval: a sampler at fixed distances sees one of them only."""
    interval, sites = 65536, {"x": (5000, 60000, 0), "y": (5000, 5536, 0)}

    def sampled(distance):
        left, sums = distance(), {"x": [0, 0], "y": [0, 0]}
        for i in range(10000):
            name = "xy"[i % 2]
            size = sites[name][1]
            left -= size
            if left <= 0:
                sums[name][0] += size / (1 - math.exp(-size / interval))
                left = distance()
        return sums

    tap(
        not estimate_faults(
            [sampled(lambda: math.ceil(random.expovariate(1 / interval))) for _ in range(10)], interval, sites
        ),
        "the check accepts distances that are exponential",
    )
    tap(
        bool(estimate_faults([sampled(lambda: interval)], interval, sites)),
        "control: it refuses a sampler at fixed distances",
    )


def exact_faults(sums, column, what):
    return [f"{n}: {sums.get(n)} instead of {w}" for n, w in what.items() if sums.get(n, [0] * 4)[column] != w]


def test_exact():
    for build in ("release", "check"):
        path = path_of("exact.pb")
        status = run(f"profile:on,profile_format:pprof,profile_file:{path},profile_interval:1", "sites", build=build)
        sums = by_site(read_pprof(path), path_of("work"))
        wrong = []
        for column, place in ((0, 0), (2, 2)):
            wrong += exact_faults(sums, column, {n: s[place] for n, s in SITES.items()})
        for column, place in ((1, 0), (3, 2)):
            wrong += exact_faults(sums, column, {n: s[place] * s[1] for n, s in SITES.items()})
        tap(status[0] == 0 and not wrong, f"with an interval of 1 all counts are exact ({build})", status, *wrong)
    tap(bool(exact_faults(sums, 0, {"site_small": MANY - 1})), "control: a count that is one off is refused")
    run(f"profile:on,profile_format:pprof,profile_file:{path},profile_interval:1", "freed")
    sums = by_site(read_pprof(path), path_of("work"))
    wrong = exact_faults(sums, 2, {"site_handle": 0, "site_big_handle": 0, "site_small": MANY})
    tap(not wrong, "handles are forgotten when they are freed, moved or not", *wrong)
    run(f"profile:on,profile_format:pprof,profile_file:{path},profile_interval:1,check:full", "sites")
    wrong = exact_faults(by_site(read_pprof(path), path_of("work")), 2, {n: s[2] for n, s in SITES.items()})
    tap(not wrong, "counts are exact with check:full, too", *wrong)


# ---- stacks --------------------------------------------------------------------------------------------------------


def depth_faults(path, outer):
    """Stacks of site_page that do not go through `outer` functions in order."""
    faults = []
    for line in read_text(path).splitlines():
        stack = line.rsplit(" ", 1)[0].split(";")
        if stack[-1] == "site_page" and [f for f in stack if f in outer] != outer:
            faults.append(line)
    return faults if "site_page" in read_text(path) else ["no site_page"]


def test_stacks():
    outer = ["main", "sites", "site_page"]
    for program, unwind in (
        ("work", "fp"),
        ("work", "auto"),
        ("work", "libunwind"),
        ("frameless", "auto"),
        ("frameless", "libunwind"),
    ):
        if program == "frameless" and not os.path.exists("/usr/lib/x86_64-linux-gnu/libunwind.so.8"):
            tap(True, "stacks without frame pointers # SKIP libunwind8 is missing")
            continue
        path = path_of("stacks.folded")
        run(
            f"profile:on,profile_format:folded,profile_file:{path},profile_interval:20000,unwind:{unwind}",
            "sites",
            program=program,
        )
        faults = depth_faults(path, outer)
        tap(not faults, f"stacks of {program} are whole (unwind:{unwind})", *faults)
    run(
        f"profile:on,profile_format:folded,profile_file:{path},profile_interval:20000,unwind:fp",
        "sites",
        program="frameless",
    )
    tap(
        bool(depth_faults(path, outer)) and "site_page" in read_text(path),
        "control: without frame pointers and libunwind they are not, but the caller is right",
    )
    run(f"profile:on,profile_format:folded,profile_file:{path},profile_interval:20000,unwind:none", "sites")
    tap(all(";" not in line for line in read_text(path).splitlines()), "unwind:none keeps the caller alone")


def test_cxx():
    path = path_of("cxx.pb")
    status = run(f"profile:on,profile_format:pprof,profile_file:{path},profile_interval:1", program="throws")
    table = by_site(read_pprof(path), path_of("throws"))
    got = {re.sub(r"_ZL\d+(site_[a-z]+)v", r"\1", n): v[2] for n, v in table.items()}
    want = {"site_new": 1000, "site_nothrow": 1000, "site_aligned": 1000}
    tap(
        status[0] == 0 and all(got.get(n) == w for n, w in want.items()),
        "operators new are charged to their callers, through exceptions",
        status,
        got,
    )


# ---- files ---------------------------------------------------------------------------------------------------------


def top_of(*command):
    text = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        cwd=SCRATCH,
        env=dict(os.environ, PPROF_TMPDIR=SCRATCH, HOME=SCRATCH),
    ).stdout
    rows = [line for line in text.splitlines() if re.search(r"\bsite_\w+\s*$", line)]
    return rows[0].split()[-1] if rows else text


def test_readers():
    old, new = path_of("reader.heap"), path_of("reader.pb")
    options = "profile:on,profile_interval:20000,profile_file:"
    run(options + old, "sites")
    run(options + new + ",profile_format:pprof", "sites")
    for name, command in (
        ("google-pprof", ["google-pprof", "--text", "work", old]),
        ("jeprof", ["jeprof", "--text", "work", old]),
        ("Go's pprof, the text", ["go", "tool", "pprof", "-top", "work", old]),
        ("Go's pprof, the proto", ["go", "tool", "pprof", "-top", "work", new]),
    ):
        if shutil.which(command[0]) is None:
            tap(True, f"{name} names the top site # SKIP it is missing")
            continue
        top = top_of(*command)
        tap(top == "site_page", f"{name} names the top site", top)
    interval, rows = legacy(read_text(old))
    tap(interval == 20000 and len(rows) >= len(SITES) and all(r[4] for r in rows), "the text is as documented", rows)
    try:
        legacy(read_text(old).replace(": ", ":", 1).replace("1", "2", 1))
        tap(False, "control: a doctored text is refused")
    except ValueError:
        tap(True, "control: a doctored text is refused")


def test_dhat():
    path = path_of("dhat.json")
    run(f"profile:on,profile_format:dhat,profile_file:{path},profile_interval:1", "sites")
    doc = json.loads(read_text(path))
    got = {}
    for point in doc["pps"]:
        name = doc["ftbl"][point["fs"][0]].split(": ")[1]
        row = got.setdefault(name, [0] * 4)
        for i, key in enumerate(("tbk", "tb", "ebk", "eb")):
            row[i] += point[key]
    wrong = exact_faults(got, 0, {n: s[0] for n, s in SITES.items()}) + exact_faults(
        got, 3, {n: s[1] * s[2] for n, s in SITES.items()}
    )
    head = {k: doc[k] for k in ("dhatFileVersion", "mode", "bklt", "bkacc")}
    tap(
        not wrong and head == {"dhatFileVersion": 2, "mode": "heap", "bklt": False, "bkacc": False},
        "JSON for DHAT has exact counts",
        head,
        *wrong,
    )


def test_golden():
    """Addresses and numbers of the process differ from run to run."""
    path = path_of("golden.folded")
    run(f"profile:on,profile_format:folded,profile_file:{path},profile_interval:1,unwind:none", "peak")
    tap(
        sorted(read_text(path).splitlines())[-1:] != [] and "site_medium" not in read_text(path),
        "what has been freed is in no line",
        read_text(path),
    )
    run(f"profile:on,profile_format:folded,profile_file:{path},profile_interval:1,unwind:none", "sites")
    want = {n: s[1] * s[2] for n, s in SITES.items() if s[2]}
    got = {n: v for n, v in folded(path).items() if n.startswith("site_")}
    tap(
        got == want and all(re.fullmatch(r"\S+ \d+", line) for line in read_text(path).splitlines()),
        "folded stacks are as documented",
        got,
    )


def test_calls():
    path = path_of("calls.pb")
    status, said, err = run("profile_format:pprof", "calls", path)
    want = "unstarted 22\nstart 0 0\ndump 0\nagain 0 other 0\ninterval refused\nnowhere 1 1 1\nfull refused\ndone\n"
    tap(
        status == 0 and said == want and err == "",
        "tm_profile_start, _stop and _dump answer as documented",
        said,
        err,
    )
    first, second = by_site(read_pprof(path), path_of("work")), by_site(read_pprof(path + ".2"), path_of("work"))
    tap(
        first["site_page"][2] == 100 and "site_small" not in first and "site_zeroed" not in first,
        "only what comes between them is in the profile",
        first,
    )
    tap(second["site_page"] == [100, 500000, 50, 250000], "frees after the stop are seen", second)


def test_blame():
    path = path_of("sparse.pb")
    status, said, err = run("profile:on,profile_format:pprof,profile_interval:1,compaction:off", "sparse", path)
    want = "dense 0\nmoved most once\nothers 0 0 0 0\ndone\n"
    tap(
        (status, said, err) == (0, want, ""), "tm_should_move says yes until what is left is dense", status, said, err
    )
    before, after = (hostages(read_pprof(p), path_of("work")) for p in (path, path + ".2"))
    # one block of 208 bytes on each page of 4 KiB, or two: 40 blocks are two pages and some
    tap(
        2000 * 3000 < before["site_keeper"] < 2000 * 2 * 4096,
        "the site that keeps pages is charged with them",
        before,
    )
    tap(sum(before.values()) * 0.9 < before["site_keeper"], "and no other", before)
    tap(
        sum(after.values()) < before["site_keeper"] / 10,
        "control: when the blocks have moved together it is not",
        after,
    )
    estimates = []
    for _ in range(5):
        run("profile:on,profile_format:pprof,profile_interval:4000", "sparse", path)
        estimates.append(sum(hostages(read_pprof(path), path_of("work")).values()))
    mean, true = sum(estimates) / len(estimates), sum(before.values())
    tap(abs(mean / true - 1) < 0.25, "sampled, the charge is the same on average", estimates, true)
    run("profile:on,profile_format:words,profile_interval:1", "sparse", path)
    text = read_text(path)
    row = r"  0\.4 MiB in 2000 blocks: site_keeper < sparse < main < .*\n"
    tap(
        re.search(row, text) is not None and re.search(row.replace("0", "1"), text) is None,
        "the report in words names the site",
        text,
    )
    tap("as handles they would free it:\n" in text, "and says what would help", text)


# ---- fork, threads, modules, signals, disks ------------------------------------------------------------------------


def profiles(pattern):
    return sorted(f for f in os.listdir(SCRATCH) if re.fullmatch(pattern, f))


def test_fork():
    for f in profiles(r"fork\.\d+"):
        os.remove(path_of(f))
    status = run(f"profile:on,profile_format:pprof,profile_file:{SCRATCH}/fork.%p,profile_interval:1", "fork")
    got = sorted(
        (by_site(read_pprof(path_of(f)), path_of("work")) for f in profiles(r"fork\.\d+")),
        key=lambda s: "site_child" in s,
    )
    good = (
        status[0] == 0
        and len(got) == 2
        and got[0]["site_small"][2] == 1000
        and "site_child" not in got[0]
        and got[1]["site_small"][2] == 500
        and got[1]["site_child"][:3] == [1000, 3000000, 1000]
    )
    tap(good, "a child of fork writes its own file: what it has, and what it allocated", status, *got)


def test_fork_keeps_the_parents_file():
    for f in profiles(r"child\.words.*"):
        os.remove(path_of(f))
    options = f"profile:on,profile_format:words,profile_file:{path_of('child.words')},profile_interval:1"
    status = run(options, "fork")
    names = profiles(r"child\.words.*")
    texts = [read_text(path_of(f)) for f in names]
    good = (
        status[0] == 0
        and len(names) == 2
        and names[0] == "child.words"
        and re.fullmatch(r"child\.words\.\d+", names[1])
        and "site_child" not in texts[0]
        and "child of fork" not in texts[0]
        and "site_child" in texts[1]
        and texts[1].startswith("A child of fork")
    )
    tap(good, "a child of fork leaves a file without %p to its parent, and says what it is", status, names, *texts)


def test_threads():
    path = path_of("threads.pb")
    status = run(f"profile:on,profile_format:pprof,profile_file:{path},profile_interval:1", "threads")
    got = by_site(read_pprof(path), path_of("work")).get("site_thread")
    tap(
        status[0] == 0 and got[0] == 160000 and got[2] == 8000,
        "blocks of threads that have ended, freed by others",
        status,
        got,
    )


def test_module():
    path = path_of("module.folded")
    status = run(
        f"profile:on,profile_format:folded,profile_file:{path},profile_interval:1", "module", path_of("module.so")
    )
    tap(status[0] == 0 and "site_module" in folded(path), "a module that is opened and closed", status)


def test_signals():
    for build in ("release", "check"):
        path = path_of("signals.heap")
        status = run(
            f"profile:on,profile_file:{path},profile_interval:1000,profile_signal:27", "signals", build=build
        )
        tap(
            status[0] == 0 and status[2] == "",
            f"signals that write, forks and threads at once do not hang ({build})",
            status,
        )
        tap(bool(legacy(read_text(path))[1]), f"the last file is whole ({build})")


def test_peak():
    path = path_of("peak.folded")
    run(f"profile:on,profile_format:folded,profile_file:{path},profile_interval:1,profile_peak:on", "peak")
    at_peak = folded(path + ".peak").get("site_medium", 0)
    tap(
        at_peak >= 20000000 * 0.85 and "site_medium" not in folded(path),
        "the peak is written, and the end",
        at_peak,
        folded(path),
    )
    os.remove(path + ".peak")
    run(f"profile:on,profile_format:folded,profile_file:{path},profile_interval:1", "peak")
    tap(not os.path.exists(path + ".peak"), "control: without the option it is not")


def test_request():
    path = path_of("request.folded")
    said = run(f"profile:on,profile_format:folded,profile_file:{path},profile_interval:1", "request", path)
    tap(said == (0, "before 0\nafter 1\ndone\n", ""), "a request from outside is served by a slow path", said)
    os.remove(path)
    said = run(f"profile_format:folded,profile_file:{path},profile_interval:1", "request", path)
    tap(said == (0, "before 0\nafter 0\ndone\n", ""), "control: in a process without a profile it is dropped", said)


def test_disks():
    status, said, err = run("profile:on,profile_file:/dev/full", "sites")
    tap(
        (status, said, err) == (0, "done\n", "tinymem: cannot write all of /dev/full: the profile is lost\n"),
        "a full disk is one line",
        err,
    )
    status, said, err = run("profile:on,profile_file:/nonexistent/%p", "sites")
    tap(
        status == 0
        and said == "done\n"
        and re.fullmatch(r"tinymem: cannot write the profile to /nonexistent/\d+\n", err),
        "an unwritable file is one line",
        err,
    )
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    status, said, err = run(
        f"profile:on,profile_signal:25,profile_file:{path_of('limited')}", "sites", preexec_fn=limit
    )
    tap(status == 0 and "the profile is lost" in err, "a file size limit is one line", status, err)


def test_start():
    """Our constructors run before libc's."""
    for unwind in ("auto", "fp", "libunwind", "none"):
        options = f"profile:on,profile_interval:1,profile_file:/dev/null,unwind:{unwind}"
        env = dict(os.environ, LD_PRELOAD=path_of("release/libtinymem.so.0"), TINYMEM=options, SAID="yes")
        done = subprocess.run(
            ["sh", "-c", "echo $0 $SAID $(echo $SAID)"], env=env, stdout=subprocess.PIPE, text=True, check=False
        )
        good = done.returncode == 0 and done.stdout == "sh yes yes\n"
        tap(good, f"a program has its arguments and its environment (unwind:{unwind})", done)


def test_off():
    script = "grep -c unwind /proc/self/maps"
    env = dict(os.environ, LD_PRELOAD=path_of("release/libtinymem.so.0"))
    counts = []
    for options in ("", "profile:on,profile_interval:1,profile_file:/dev/null,unwind:libunwind"):
        counts.append(
            subprocess.run(
                ["sh", "-c", script], env=dict(env, TINYMEM=options), stdout=subprocess.PIPE, text=True, check=False
            ).stdout.strip()
        )
    tap(counts[0] == "0", "a process that does not profile maps no libunwind", counts)
    if os.path.exists("/usr/lib/x86_64-linux-gnu/libunwind.so.8"):
        tap(counts[1] != "0", "control: one that does maps it", counts)


def main():
    for test in (
        test_estimates,
        test_fixed_distance,
        test_exact,
        test_stacks,
        test_cxx,
        test_readers,
        test_dhat,
        test_golden,
        test_calls,
        test_blame,
        test_fork,
        test_fork_keeps_the_parents_file,
        test_threads,
        test_module,
        test_signals,
        test_peak,
        test_request,
        test_disks,
        test_start,
        test_off,
    ):
        try:
            test()
        except (ValueError, KeyError, IndexError, TypeError, OSError) as e:
            tap(False, test.__name__, repr(e))


main()
