# setup.sh - sourced by preload/run and tests/run: installs packages and builds the library. Needs $root, and $me as the
# prefix of messages, which go to stderr. A function that fails prints the reason and returns non-zero.

say() { printf '%s: %s\n' "$me" "$*" >&2; }

# setup_missing PROBE=PACKAGE ...: prints the packages whose probe is missing: a command, or a file if it has a slash.
setup_missing() {
    local pair
    for pair; do
        case ${pair%%=*} in
            */*) [ -e "${pair%%=*}" ] || echo "${pair#*=}" ;;
            *) type -P -- "${pair%%=*}" >/dev/null ||
                PATH=$PATH:/usr/sbin:/sbin type -P -- "${pair%%=*}" >/dev/null || echo "${pair#*=}" ;;
        esac
    done
}

# setup_install PACKAGE ...: installs with apt, as root. Servers among the packages are not started.
setup_install() {
    local policy=/usr/sbin/policy-rc.d ours='' status=0
    local -x DEBIAN_FRONTEND=noninteractive
    if [ "$(id -u)" != 0 ] || ! type -P apt-get >/dev/null; then
        say "missing, and only root can install them (with apt-get): $*"
        return 1
    fi
    say "installing packages: $*"
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy" && ours=yes
    fi
    apt-get install -y -q --no-install-recommends "$@" </dev/null >&2 ||
        { apt-get update -q </dev/null >&2 && apt-get install -y -q --no-install-recommends "$@" </dev/null >&2; } ||
        status=1
    [ -z "$ours" ] || rm -f "$policy"
    [ $status = 0 ] || say "could not install: $*"
    return $status
}

# setup_packages PROBE=PACKAGE ...: installs what is missing; silent when nothing is.
setup_packages() {
    local missing
    missing=$(setup_missing "$@" | sort -u)
    [ -z "$missing" ] || setup_install $missing
}

setup_toolchain() {
    setup_packages cmake=cmake make=make gcc=gcc cc=gcc /usr/include/stdlib.h=libc6-dev
}

# setup_logged LOG COMMAND ...: runs the command with its output in LOG, and shows the log if the command fails.
setup_logged() {
    local log=$1
    shift
    "$@" </dev/null >"$log" 2>&1 || { cat "$log" >&2; say "failed: $*"; return 1; }
}

# True when build/PRESET is as new as every source it is made of.
setup_current() {
    local stamp=$root/build/$1/built sources=(CMakeLists.txt CMakePresets.json lib preload include)
    [ "$1" = release ] || sources+=(tests/CMakeLists.txt tests/unit tests/preload tests/handles)
    [ -e "$stamp" ] && [ -z "$(cd "$root" && find "${sources[@]}" -newer "$stamp" -print -quit 2>/dev/null)" ]
}

# setup_build PRESET: configures and builds build/PRESET if a source is newer. Concurrent calls wait for each other.
setup_build() {
    local preset=$1 dir=$root/build/$1 fresh=() target=()
    if setup_current "$preset"; then
        return 0
    fi
    if ! mkdir -p "$dir" 2>/dev/null || [ ! -w "$dir" ]; then
        say "build/$preset is missing or older than its sources, and $root is not writable: build it as its owner"
        return 1
    fi
    setup_toolchain || return 1
    (
        flock 9
        if setup_current "$preset"; then
            exit 0
        fi
        say "building build/$preset"
        touch "$dir/building" # becomes the stamp: sources that change during the build are newer
        if [ -e "$dir/CMakeCache.txt" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$dir/CMakeCache.txt"; then
            fresh=(--fresh) # the source tree has another path now
        fi
        [ "$preset" != release ] || target=(--target tinymem) # the archive is only needed for an installation
        cd "$root" &&
            setup_logged "$dir/configure.log" cmake "${fresh[@]}" --preset "$preset" &&
            setup_logged "$dir/build.log" cmake --build --preset "$preset" "${target[@]}" &&
            mv -f "$dir/building" "$dir/built"
    ) 9>"$dir/lock"
}
