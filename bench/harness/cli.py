"""bench/run's options and the sequence of a run."""

import argparse
import dataclasses
import json
import os
import sys
import time

from . import allocators, kvpicture, paths, picture, publish, registry, report, runner, schedule

ROUNDS = {
    "quick": {"programs": 1, "startup": 1, "frag": 1, "need": 1, "replay": 1, "micro": 1,
              "handles": 1, "kv": 1, "profile": 1, "picture": 1},
    "default": {"programs": 3, "startup": 3, "frag": 1, "need": 3, "replay": 1, "micro": 3,
              "handles": 5, "kv": 1, "profile": 3, "picture": 1},
    "full": {"programs": 7, "startup": 7, "frag": 3, "need": 7, "replay": 1, "micro": 7,
              "handles": 11, "kv": 3, "profile": 5, "picture": 1},
}


class Parser(argparse.ArgumentParser):
    def error(self, message):
        sys.exit("bench/run: %s\nbench/run: --help lists the options" % message)


def parser():
    p = Parser(prog="bench/run", allow_abbrev=False, description="Measure memory allocators under real programs, "
               "synthetic ones, fragmentation workloads and micro benchmarks.",
               formatter_class=argparse.RawDescriptionHelpFormatter,
               epilog="Suites: %s.\nKinds: real, synthetic.\nPrograms: %s.\nAllocators: %s." % (
                   ", ".join(registry.SUITES), ", ".join(q.name for q in registry.PROGRAMS),
                   ", ".join(allocators.NAMES)))
    size = p.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="a smoke run: little work, one round")
    size.add_argument("--full", action="store_true", help="seven rounds")
    p.add_argument("--allocators", metavar="a,b", help="which ones (default: %s; glibc is always measured)"
                   % ",".join(allocators.DEFAULT))
    p.add_argument("--only", metavar="NAME", help="programs, suites or kinds, comma-separated, globs allowed")
    p.add_argument("--with", metavar="NAME=/path/lib.so", dest="extra", action="append", default=[],
                   help="one more allocator; may be repeated")
    p.add_argument("--with-redis", metavar="PATH", action="append", default=[],
                   help="one more server for the suite kv that takes redis-server's options; may be repeated")
    p.add_argument("--rounds", metavar="N", type=int, help="rounds of every suite")
    p.add_argument("--out", metavar="DIR", help="where results.json and report.md go")
    p.add_argument("--publish", action="store_true",
                   help="afterwards renew the suites that were run in bench/RESULTS.md")
    p.add_argument("--from", metavar="DIR", dest="earlier",
                   help="with --publish: run nothing, take the results of an earlier run")
    p.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    return p


def parse_extra(given, p):
    extra = {}
    for item in given:
        name, equals, path = item.partition("=")
        if not equals or not name or not path:
            p.error("--with wants NAME=/path/lib.so, not '%s'" % item)
        if name in allocators.NAMES and name != "tinymem":
            p.error("--with: '%s' is the name of a built-in allocator; choose another" % name)
        if not os.path.isfile(path):
            p.error("--with %s: there is no file %s" % (name, path))
        extra[name] = path
    return extra


def parse(argv):
    """(options, programs, allocator names, extra allocators). Exits with a message on a bad option."""
    p = parser()
    options = p.parse_args(argv)
    extra = parse_extra(options.extra, p)
    if options.rounds is not None and options.rounds < 1:
        p.error("--rounds wants a number above zero")
    check_publishing(options, p)
    names = options.allocators.split(",") if options.allocators else allocators.DEFAULT
    known = list(dict.fromkeys(allocators.NAMES + list(extra)))
    for name in names:
        if name not in known:
            p.error("unknown allocator '%s'; there are: %s" % (name, ", ".join(known)))
    try:
        programs = registry.select((options.only or "*").split(","))
    except ValueError as error:
        p.error("--only: %s; there are: %s" % (error, ", ".join(registry.valid_names())))
    for path in options.with_redis:
        if not os.access(path, os.X_OK) or os.path.isdir(path):
            p.error("--with-redis: %s is no program" % path)
    if options.allocators or extra:
        programs = [dataclasses.replace(q, among=()) for q in programs]
    if any(q.suite == "kv" for q in programs):
        programs += [registry.other_server(path) for path in options.with_redis]
    return options, programs, [*names, *(n for n in extra if n not in names)], extra


def check_publishing(options, p):
    if options.earlier and not options.publish:
        p.error("--from goes with --publish")
    if options.earlier and not os.path.isfile(results_file(options.earlier)):
        p.error("--from: there is no file %s" % results_file(options.earlier))
    if options.publish and options.quick:
        p.error("--publish: a quick run is a smoke test; run it without --quick")


def results_file(directory):
    return directory if directory.endswith(".json") else os.path.join(directory, "results.json")


def context(mode):
    return runner.Context(quick=mode == "quick", tick_seconds=0.5 if mode == "quick" else 10.0,
                          sleep_seconds=0.2 if mode == "quick" else 1.0,
                          micro_seconds=0.002 if mode == "quick" else 0.05,
                          step_ms=10 if mode == "quick" else 100)


def run(options, programs, names, extra):
    mode = "quick" if options.quick else "full" if options.full else "default"
    rounds = {s: options.rounds or n for s, n in ROUNDS[mode].items()}
    ctx = context(mode)
    chosen = allocators.find(names, extra)
    directory = options.out or os.path.join(paths.RESULTS, time.strftime("%Y%m%d-%H%M%S"))
    os.makedirs(directory, exist_ok=True)
    result = {"format": 1, "mode": mode, "rounds": rounds, "command": command_line(options),
              "date": time.strftime("%Y-%m-%d"), "machine": allocators.machine(), "tuning": runner.tuning(),
              "tick_seconds": ctx.tick_seconds, "sleep_seconds": ctx.sleep_seconds,
              "allocators": [a.record() for a in chosen], "missing": [], "samples": []}
    for a in chosen:
        print("bench: %-15s %s" % (a.name, a.note if not a.path else "%s (%s)" % (a.version, a.note)),
              file=sys.stderr)
    try:
        schedule.execute(result, programs, chosen, rounds, ctx, directory)
    except KeyboardInterrupt:
        result["interrupted"] = True
        print("bench: interrupted; reporting what there is", file=sys.stderr)
    status = finish(result, directory)
    return publish_run(result) or status if options.publish else status


def publish_run(result, only=None):
    """Renews bench/RESULTS.md. Returns 1, after a message, if the results cannot be published."""
    try:
        for path in publish.write(result, only):
            print("bench: wrote %s" % os.path.relpath(path, paths.ROOT), file=sys.stderr)
        return 0
    except publish.Refused as why:
        print("bench/run: --publish: %s" % why, file=sys.stderr)
        return 1


def publish_earlier(options, programs):
    with open(results_file(options.earlier), encoding="utf-8") as f:
        result = json.load(f)
    return publish_run(result, {q.suite for q in programs})


def command_line(options):
    words = ["bench/run"]
    words += ["--quick"] if options.quick else ["--full"] if options.full else []
    for name in ("allocators", "only", "rounds"):
        if getattr(options, name):
            words += ["--" + name, str(getattr(options, name))]
    words += ["--with-redis=%s" % os.path.basename(path) for path in options.with_redis]
    words += ["--with %s=%s" % (e.partition("=")[0], os.path.basename(e)) for e in options.extra]
    return " ".join(words)


def finish(result, directory):
    path = schedule.save(result, directory)
    text = report.render(result)
    with open(os.path.join(directory, "report.md"), "w", encoding="utf-8") as f:
        f.write(text)
    drawings = dict(picture.files(result), **{"kv.svg": kvpicture.draw(result)})
    for name, drawn in drawings.items():
        if drawn:
            with open(os.path.join(directory, name), "w", encoding="utf-8") as f:
                f.write(drawn)
    print(text)
    print("bench: %s and report.md next to it" % path, file=sys.stderr)
    return 1 if result.get("interrupted") or any(s["reason"] for s in result["samples"]) else 0


def main(argv=None):
    options, programs, names, extra = parse(sys.argv[1:] if argv is None else argv)
    if options.check:
        return 0
    return publish_earlier(options, programs) if options.earlier else run(options, programs, names, extra)


if __name__ == "__main__":
    sys.exit(main())
