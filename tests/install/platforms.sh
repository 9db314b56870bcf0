# platforms.sh - sourced by tests/install/run: what configure chooses by itself, and what it refuses.

# configure ARGUMENT...: a fresh build folder, $tmp/platform; what it says is in $tmp/out, in one line.
configure() {
    rm -rf "$tmp/platform"
    cmake -S "$TEST_ROOT" -B "$tmp/platform" "$@" 2>&1 | tr -s ' \n' ' ' >"$tmp/out"
    return "${PIPESTATUS[0]}"
}
refuses() { # NAME SENTENCE ARGUMENT...
    local name=$1 sentence=$2
    shift 2
    if configure "$@"; then
        not_ok "configure refuses $name"
    elif grep -qF "tinymem: $sentence Call Stack" "$tmp/out" &&
        [ "$(grep -o 'CMake Error' "$tmp/out" | wc -l)" = 1 ]; then
        ok "configure refuses $name in one sentence"
    else
        not_ok "configure refuses $name in one sentence" "$(cat "$tmp/out")"
    fi
}
pool="what works there is the pool: configure with -DTMI_PARTS=pool."
handles="what works there is libtinymem-handles, the movable heap without malloc: configure with -DTMI_PARTS=handles."
CFLAGS=-mx32 refuses "x32" "needs 64-bit addresses, and this compiler makes programs of 32 bits; $pool" \
    -DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY
CFLAGS=-m32 refuses "32 bits" "needs 64-bit addresses, and this compiler makes programs of 32 bits; $pool" \
    -DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY
refuses "another system" "needs Linux, and this build is for Generic; $pool" -DCMAKE_SYSTEM_NAME=Generic
refuses "a processor that it has no system calls for" "needs x86-64 or arm64, and this build is for riscv64; $pool" \
    -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=riscv64 -DTMI_KNOWN_PROCESSOR=OFF
refuses "another C library" \
    "replaces glibc's malloc, and this compiler's C library is another one, such as musl; $handles" \
    -DCMAKE_C_COMPILER=musl-gcc
refuses "a part that there is not" 'TMI_PARTS is all, handles or pool, and not "most".' -DTMI_PARTS=most

# What is offered instead works.
musl_works() {
    holds "musl: configure for handles" configure -DCMAKE_C_COMPILER=musl-gcc -DTMI_PARTS=handles
    holds "musl: build" cmake --build "$tmp/platform" -j "$(nproc)"
    holds "musl: install" cmake --install "$tmp/platform" --prefix "$tmp/musl"
    is "musl: no malloc is built" "$(find "$tmp/musl" -name 'libtinymem.*' | wc -l)" 0
    holds "musl: a program links the archive" musl-gcc "-I$tmp/musl/include" -o "$tmp/m1" "$consumer/handles.c" \
        "$tmp/musl/lib/libtinymem-handles.a"
    is "musl: and runs" "$("$tmp/m1" 2>&1)" "$version serves"
    is "musl: it is musl that it runs on" "$(readelf -l "$tmp/m1" | grep -c 'ld-musl')" 1
    holds "musl: a program links the shared library" musl-gcc "-I$tmp/musl/include" -o "$tmp/m2" "$consumer/handles.c" \
        "-L$tmp/musl/lib" -ltinymem-handles
    is "musl: and runs" "$(LD_LIBRARY_PATH=$tmp/musl/lib "$tmp/m2" 2>&1)" "$version serves"
}
musl_works
holds "the pool alone: configure" configure -DTMI_PARTS=pool
holds "the pool alone: build" cmake --build "$tmp/platform"
holds "the pool alone: install" cmake --install "$tmp/platform" --prefix "$tmp/pool_only"
holds "the pool alone: a program links it" cc "-I$tmp/pool_only/include" -o "$tmp/p1" "$consumer/pool.c" \
    "$tmp/pool_only/lib/libtinymem_pool.a"
is "the pool alone: and runs" "$("$tmp/p1")" "pool serves"
is "the pool alone: its headers and no others are installed" "$(ls "$tmp/pool_only/include/tinymem" | xargs)" \
    "tinymem_pool.h tinymem_pool_config.h"

# By itself, a plain build is the release. A packager's flags are taken as they are.
holds "a plain configure" configure
is "is a release" "$(sed -n 's/^CMAKE_BUILD_TYPE:STRING=//p' "$tmp/platform/CMakeCache.txt")" Release
holds "a plain build" cmake --build "$tmp/platform" --target tinymem -j "$(nproc)"
holds "it makes the same library as the preset" cmp "$tmp/platform/libtinymem.so" build/release/libtinymem.so
flags() { cat "$tmp/platform/CMakeFiles/tinymem.dir/flags.make"; }
is "with -O3 and link-time optimization" "$(flags | grep -oE -- ' -O[0-9]| -flto' | sort -u | xargs)" "-O3 -flto"
debian="-g -O2 -fstack-protector-strong -Wformat -Werror=format-security -D_FORTIFY_SOURCE=2"
holds "a packager configures" env CFLAGS="$debian" LDFLAGS=-Wl,-z,relro cmake -S . -B "$tmp/platform" --fresh \
    -DCMAKE_BUILD_TYPE=None -DTMI_LTO=OFF
is "and gets these flags" \
    "$(flags | grep -oE -- ' -g| -O[0-9]| -fstack-protector-strong| -D_FORTIFY_SOURCE=2| -flto' | sort -u | xargs)" \
    "-D_FORTIFY_SOURCE=2 -O2 -fstack-protector-strong -g"
holds "the packager's build works" cmake --build "$tmp/platform" --target tinymem -j "$(nproc)"
is "and is malloc" "$(active env "LD_PRELOAD=$tmp/platform/libtinymem.so" true)" 1
