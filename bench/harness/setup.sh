# setup.sh - sourced by bench/run and bench/selftest: installs packages and builds. Needs $root and $build.
#
# Only missing packages are installed, and only changed sources rebuilt. Root installs; for another user the missing
# packages are listed and skipped (the report lists each allocator and program that could not be measured).

# Packages that the harness itself needs; then other allocators; then the programs that are measured.
bench_needed=(python3 cmake make gcc g++ libc6-dev)
bench_wanted=(libbenchmark-dev libjemalloc2 libmimalloc2.0 libtcmalloc-minimal4 libtbbmalloc2
    redis-server redis-tools memcached sqlite3 lua5.4 perl ruby git gawk jq valgrind
    postgresql default-jdk-headless util-linux gnuplot-nox)

bench_say() { echo "bench: $*" >&2; }

bench_missing() {
    local p
    for p in "$@"; do
        dpkg-query -W -f '${db:Status-Status}\n' "$p" 2>/dev/null | grep -qx installed || echo "$p"
    done
}

bench_install() {
    local prevent=
    # The packages of servers would start them, and a running server would influence the figures.
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        prevent=/usr/sbin/policy-rc.d
        printf '#!/bin/sh\nexit 101\n' >"$prevent" && chmod +x "$prevent"
    fi
    bench_say "installing: $*"
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >&2 ||
        { apt-get update >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >&2; } ||
        bench_say "some packages could not be installed"
    [ -z "$prevent" ] || rm -f "$prevent"
}

bench_packages() {
    local missing p
    command -v dpkg-query >/dev/null || return 0
    mapfile -t missing < <(bench_missing "${bench_needed[@]}" "${bench_wanted[@]}")
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" = 0 ]; then
        bench_install "${missing[@]}"
        # If one package is not available, the others are installed nevertheless, one by one.
        mapfile -t missing < <(bench_missing "${bench_needed[@]}" "${bench_wanted[@]}")
        for p in "${missing[@]}"; do bench_install "$p"; done
    else
        bench_say "not installed, and only root can install them: ${missing[*]}"
    fi
}

# Prints nothing unless the build fails, then the whole log.
bench_logged() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 || { cat "$log" >&2; bench_say "failed: $*"; return 1; }
}

# If the library does not build, it is reported as missing; the other allocators can still be measured.
bench_build_library() {
    mkdir -p "$build"
    [ -f "$root/CMakeLists.txt" ] || return 0
    "$root/preload/run" true >"$build/release.log" 2>&1 ||
        { cat "$build/release.log" >&2; bench_say "the release library does not build: going on with what is there"; }
}

bench_build_programs() {
    mkdir -p "$build"
    [ -f "$build/CMakeCache.txt" ] || bench_say "configuring the benchmark programs"
    # Configure each time: the programs to build depend on whether the library exists.
    bench_logged "$build/configure.log" cmake -S "$root/bench" -B "$build" -DCMAKE_BUILD_TYPE=Release
    bench_logged "$build/build.log" cmake --build "$build" -j "$(nproc)"
}

bench_python() {
    PYTHONPATH=$root/bench PYTHONDONTWRITEBYTECODE=1 BENCH_ROOT=$root python3 "$@"
}
