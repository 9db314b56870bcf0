# consumers.sh - sourced by tests/install/run: projects of each kind that use tinymem. Each is built and run, and says
# whether the library serves it. Needs $prefix (an installation), $version, $tmp and the functions of tap.sh.

consumer=$TEST_ROOT/tests/install/consumer

# programs_work NAME DIRECTORY: those that tests/install/consumer/CMakeLists.txt makes.
programs_work() {
    local name=$1 dir=$2 program
    for program in raw_c raw_cc static_c static_cc handles handles_static; do
        is "$name: $program" "$("$dir/$program" 2>&1)" "$version serves"
    done
    is "$name: pool" "$("$dir/pool" 2>&1)" "pool serves"
    for program in plain plain_static; do
        is "$name: $program, which names nothing of tinymem's, runs on it" "$(active "$dir/$program")" 1
    done
}

# An installation that was moved: nothing in it may name the place where it was.
moved=$tmp/moved\ here/deep
mkdir -p "$moved" && cp -a "$prefix/." "$moved"
is "no text that is installed names the prefix" \
    "$(grep -rlF "$prefix" "$moved" --include='*.cmake' --include='*.pc' | wc -l)" 0
find_package_works() {
    local dir=$tmp/find
    holds "find_package: configure" cmake -S "$consumer" -B "$dir" -DHOW=find -DVERSION="${version%.*}" \
        -DPARTS='tinymem;static;handles;handles_static;pool' "-DCMAKE_PREFIX_PATH=$moved"
    holds "find_package: build" cmake --build "$dir" -j "$(nproc)"
    programs_work find_package "$dir"
    refused() { # NAME TEXT ARGUMENT...
        local name=$1 text=$2
        shift 2
        if cmake -S "$consumer" -B "$tmp/refused" --fresh -DHOW=find "-DCMAKE_PREFIX_PATH=$moved" "$@" >"$tmp/out" \
            2>&1; then
            not_ok "find_package refuses $name"
        elif grep -qF "$text" "$tmp/out"; then
            ok "find_package refuses $name"
        else
            not_ok "find_package refuses $name" "$(tail -20 "$tmp/out")"
        fi
    }
    refused "a version that is too new" "version: $version" -DVERSION=0.99
    refused "the next major version" "version: $version" -DVERSION=1.0
    refused "a part that there is not" "tinymem has no part nothing" "-DPARTS=nothing"
}
find_package_works

# In the source tree of another project. It keeps its settings, and gets no tests.
subproject_works() { # HOW ARGUMENT...
    local how=$1 dir=$tmp/$1
    shift
    holds "$how: configure" cmake -S "$consumer" -B "$dir" -DHOW="$how" -DSOURCE="$TEST_ROOT" "$@"
    holds "$how: build" cmake --build "$dir" -j "$(nproc)"
    programs_work "$how" "$dir"
}
subproject_works add -DTMI_LTO=OFF
is "add_subdirectory leaves the project's settings alone" "$(cat "$tmp/add/settings")" '||-O3 -DNDEBUG|||'
is "and its cache, without a kind of build" "$(sed -n 's/^CMAKE_BUILD_TYPE:STRING=//p' "$tmp/add/CMakeCache.txt")" ''
is "and brings no tests" "$(find "$tmp/add" -name 'test_*' | wc -l)" 0
holds "but is optimized" grep -rq -- '-O3' "$tmp/add/tinymem/CMakeFiles/tinymem.dir/flags.make"
holds "the project installs" cmake --install "$tmp/add" --prefix "$tmp/added"
is "and what it installs has nothing of tinymem's" "$(find "$tmp/added" -type f 2>/dev/null | wc -l)" 0
subproject_works fetch -DCMAKE_BUILD_TYPE=Debug
is "FetchContent in a debug build: tinymem's flags are the project's" \
    "$(grep -c -- '-O[123]' "$tmp/fetch/_deps/tinymem-build/CMakeFiles/tinymem_core.dir/flags.make")" 0

pkg_config_works() {
    local -x PKG_CONFIG_PATH=$moved/lib/pkgconfig LD_LIBRARY_PATH=$moved/lib
    local how language cxx name
    # The path has a blank in it: eval takes the backslash that pkg-config puts before it.
    for language in c cc; do
        [ $language = c ] && cxx=cc || cxx=g++
        for how in '' --static; do
            name="pkg-config ${how:---shared}, $language"
            if holds "$name: build" eval \
                "$cxx -Wl,--as-needed -o '$tmp/pc' '$consumer/raw.$language' \
                    $(pkg-config $how --cflags --libs tinymem)"; then
                is "$name: run" "$("$tmp/pc" 2>&1)" "$version serves"
            fi
        done
    done
    for how in '' --define-prefix; do
        holds "pkg-config $how: a program that names nothing of it builds" \
            eval "cc -Wl,--as-needed -o '$tmp/pc' '$consumer/plain.c' $(pkg-config $how --libs tinymem)"
        is "pkg-config $how: and runs on tinymem" "$(active "$tmp/pc")" 1
    done
    holds "pkg-config --static and -static: build" eval \
        "cc -static -o '$tmp/pc' '$consumer/raw.c' $(pkg-config --static --cflags --libs tinymem)"
    is "pkg-config --static and -static: run" "$(LD_LIBRARY_PATH='' "$tmp/pc" 2>&1)" "$version serves"
    for name in handles pool; do
        holds "pkg-config tinymem-$name: build" eval \
            "cc -o '$tmp/pc' '$consumer/$name.c' $(pkg-config --cflags --libs tinymem-$name)"
        is "pkg-config tinymem-$name: run" "$("$tmp/pc" 2>&1 | grep -c ' serves$')" 1
    done
    is "pkg-config refuses a version that is too new" "$(pkg-config --exists 'tinymem >= 0.99' && echo found)" ''
    is "and takes its own" "$(pkg-config --exists "tinymem >= $version" && echo found)" found
}
pkg_config_works
# Options that a program has compiled in, whichever way it gets the library.
options_work() { # NAME COMMAND...
    is "$1: tm_options counts, TINYMEM counts for more, some change while the program runs" \
        "$(TINYMEM=purge_keep:9 "${@:2}" 2>&1 | xargs)" "1234 9 on 50 EPERM EINVAL ENOENT ERANGE"
}
export LD_LIBRARY_PATH=$moved/lib
for library in libtinymem.so libtinymem.a libtinymem-handles.so libtinymem-handles.a; do
    holds "a program with tm_options links $library" cc "-I$moved/include" -o "$tmp/options" "$consumer/options.c" \
        "$moved/lib/$library"
    options_work "$library" "$tmp/options"
done
unset LD_LIBRARY_PATH
echo 'const char *tm_options = "verbose:on"; int main(void) { return 0; }' >"$tmp/preloaded.c"
cc -rdynamic -o "$tmp/preloaded" "$tmp/preloaded.c"
is "a program that exports tm_options has them under LD_PRELOAD" \
    "$(LD_PRELOAD=$prefix/lib/libtinymem.so "$tmp/preloaded" 2>&1 | grep -c '^tinymem: version.* active$')" 1
# As the README says about ctypes: only names that are looked up in the whole program are tinymem's.
whose() { # LIBRARY: of which file is the malloc_trim that Python finds in it?
    LD_PRELOAD=$prefix/lib/libtinymem.so PYTHONNOUSERSITE=1 /usr/bin/python3 -c "
import ctypes, re
at = ctypes.cast(ctypes.CDLL($1).malloc_trim, ctypes.c_void_p).value
for line in open('/proc/self/maps'):
    low, high, path = re.match(r'(\w+)-(\w+) \S+ \S+ \S+ \S+ *(.*)', line).groups()
    if int(low, 16) <= at < int(high, 16):
        print(path.rsplit('/', 1)[-1].split('.so')[0])"
}
is "ctypes.CDLL(None) has tinymem's functions" "$(whose None)" libtinymem
is "and ctypes.CDLL('libc.so.6') has libc's" "$(whose "'libc.so.6'")" libc
# The control: a program that is not linked with it is not served.
cc -o "$tmp/pc" "$consumer/plain.c"
is "control: a program without tinymem is seen to be without" "$(active "$tmp/pc")" 0
