# installed.sh - sourced by tests/rust/run: the crate as cmake --install leaves it in a prefix, and programs that take
# it from there, offline. Needs $prefix (an installation, with a blank in its path), $crate and $tmp.
source "$TEST_ROOT/tests/kit/crate.sh"

registry=$prefix/share/cargo/registry
installed=$registry/tinymem-$(sed -n 's/^version = "\(.*\)"/\1/p' "$crate/Cargo.toml")
export CARGO_TARGET_DIR=$target/installed
example=$TEST_ROOT/tests/examples/word_count
files_of() { (cd "$1" && find Cargo.toml README.md build.rs src -type f | sort | xargs sha256sum | sed 's/  / /'); }
is "installed: it is there, whole, and nothing else is" \
    "$(cd "$installed" && find . ! -type d | wc -l) $(files_of "$installed")" \
    "$(($(files_of "$crate" | wc -l) + 1)) $(files_of "$crate")"
is "installed: the list of checksums is right" \
    "$(grep -oE '"[A-Za-z_0-9./]+":"[0-9a-f]{64}"' "$installed/.cargo-checksum.json" |
        sed 's/"\(.*\)":"\(.*\)"/\2 \1/' | sort -k2)" "$(files_of "$crate" | sort -k2)"
holds "installed: DESTDIR is respected" env DESTDIR="$tmp/dest" cmake --install "$release" --prefix /some/prefix
is "installed: the crate is the same there" \
    "$(cat "$tmp/dest/some/prefix/share/cargo/registry"/tinymem-*/.cargo-checksum.json)" \
    "$(cat "$installed/.cargo-checksum.json")"
is "installed: all of it is in the list of what was installed" \
    "$(grep -c '^/some/prefix/share/cargo/registry/' "$release/install_manifest.txt")" \
    "$(find "$installed" ! -type d | wc -l)"

# build NAME ENVIRONMENT...: the example in $tmp/NAME, without a library in the environment but those named.
build() {
    local name=$1
    shift
    (cd "$tmp/$name" && env -u TINYMEM_LIB_DIR "$@" cargo build --quiet --offline)
}
works() { # NAME LD_LIBRARY_PATH
    is "$1: and runs" \
        "$(LD_LIBRARY_PATH=$2 "$CARGO_TARGET_DIR/debug/word_count" "$TEST_ROOT/README.md" 2>&1 |
            sed -n 's/^\(before\|after\) compaction: resident [0-9]* KiB.*/\1/p' | xargs)" "before after"
}
crate_user "$example" "$tmp/taken" "$registry"
holds "installed: the word count takes the crate from the prefix, and the library beside it" \
    build taken "PKG_CONFIG=$tmp/none"
works "installed" "$prefix/lib"
is "installed: it needs libtinymem" "$(needed "$CARGO_TARGET_DIR/debug/word_count")" libtinymem.so.0
is "installed: cargo run finds the library" \
    "$(cd "$tmp/taken" && env -u LD_LIBRARY_PATH -u TINYMEM_LIB_DIR cargo run --quiet --offline -- "$crate/README.md" \
        2>&1 | grep -c 'compaction: resident')" 2
sed -i 's|^tinymem = \(".*"\)|tinymem = { version = \1, features = ["static"] }|' "$tmp/taken/Cargo.toml"
holds "installed: with the archive" build taken "PKG_CONFIG=$tmp/none"
works "installed, with the archive" ''
is "installed: it needs no library then" "$(needed "$CARGO_TARGET_DIR/debug/word_count")" ''

# As the crate's README says, beside other crates.
crate_user "$example" "$tmp/by_path" "$registry"
rm "$tmp/by_path/.cargo/config.toml"
sed -i "s|^tinymem = .*|tinymem = { path = \"$installed\" }|" "$tmp/by_path/Cargo.toml"
holds "installed: the word count depends on it by its path" build by_path "PKG_CONFIG=$tmp/none"
works "installed, by its path" "$prefix/lib"
is "installed: the README's lines are those of the tests" \
    "$(grep -cE '^source\.(crates-io\.replace-with = "installed"|installed\.directory = ".*/share/cargo/registry")$' \
        "$crate/README.md")" 2

# A registry that was copied, as `cargo vendor` does it, is no part of a prefix.
cp -r "$registry" "$tmp/vendor"
crate_user "$example" "$tmp/copied" "$tmp/vendor"
unfound() { # NAME WHY ENVIRONMENT...
    local name=$1 why=$2
    shift 2
    if build copied "$@" >"$tmp/unfound" 2>&1; then
        not_ok "refused with a sentence: $name" "it was built"
    else
        holds "refused with a sentence: $name" grep -F -- "$why" "$tmp/unfound"
    fi
}
unfound "a copy of the crate, and no library" "install tinymem, or set TINYMEM_LIB_DIR" "PKG_CONFIG_LIBDIR=$tmp"
mkdir -p "$tmp/old" && sed 's/^Version:.*/Version: 0.0.1/' "$prefix/lib/pkgconfig/tinymem.pc" >"$tmp/old/tinymem.pc"
unfound "a library that is older than the crate" "pkg-config does not know tinymem >= " "PKG_CONFIG_LIBDIR=$tmp/old"
holds "a copy of the crate: pkg-config leads to the library" build copied "PKG_CONFIG_PATH=$prefix/lib/pkgconfig"
works "a copy of the crate" "$prefix/lib"
holds "a copy of the crate: TINYMEM_LIB_DIR does" build copied "PKG_CONFIG=$tmp/none" "TINYMEM_LIB_DIR=$prefix/lib"
echo "// changed" >>"$tmp/vendor/$(basename "$installed")/src/name.rs"
unfound "control: a file that was changed" "the listed checksum of" "PKG_CONFIG=$tmp/none" \
    "TINYMEM_LIB_DIR=$prefix/lib" "CARGO_TARGET_DIR=$tmp/changed" # what is built already is not verified again
rm "$tmp/copied/.cargo/config.toml"
rm -f "$tmp/copied/Cargo.lock"
unfound "control: a program that does not name the directory" "no matching package named \`tinymem\` found" \
    "TINYMEM_LIB_DIR=$prefix/lib"
