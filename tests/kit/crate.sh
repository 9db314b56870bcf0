# crate.sh - sourced by tests that use the installed Rust crate.

# crate_user SOURCE DIRECTORY REGISTRY: a copy of a package that depends on the crate of this tree. The copy depends on
# the crate by its version, and cargo takes that from the directory REGISTRY in place of crates.io.
crate_user() {
    local version
    version=$(sed -n 's/^project(tinymem VERSION \([0-9.]*\).*/\1/p' "$TEST_ROOT/CMakeLists.txt")
    mkdir -p "$2/.cargo" && cp -r "$1/Cargo.toml" "$1/src" "$2/" &&
        sed -i "s|^tinymem = {.*|tinymem = \"$version\"|" "$2/Cargo.toml" &&
        cat >"$2/.cargo/config.toml" <<END
source.crates-io.replace-with = "installed"
source.installed.directory = "$3"
END
}
