# tap.sh - sourced by the parts of the test suite. Each result is one line, in the form that tests/run counts:
#   ok - NAME        not ok - NAME        ok - NAME # SKIP why

ok() { echo "ok - $1"; }

# not_ok NAME [WHY...]
not_ok() {
    echo "not ok - $1"
    shift
    [ $# -eq 0 ] || printf '%s\n' "$@" | sed 's/^/#   /'
}

# skip NAME WHY
skip() { echo "ok - $1 # SKIP $2"; }

# is NAME GOT WANTED
is() {
    if [ "$2" = "$3" ]; then
        ok "$1"
    else
        not_ok "$1" "got:    $2" "wanted: $3"
    fi
}

# holds NAME COMMAND...: passes if the command succeeds; its output is shown only if it fails.
holds() {
    local name=$1 out
    shift
    if out=$("$@" 2>&1); then
        ok "$name"
    else
        not_ok "$name" "failed: $*" "$out"
    fi
}

# Makes a directory, $tmp, that is removed when the script ends.
scratch() {
    tmp=$(mktemp -d "${TMPDIR:-/tmp}/tinymem-test.XXXXXX") || exit 1
    trap 'rm -rf "$tmp"' EXIT
}

# run_programs COMMAND... -- FILE...: runs `COMMAND FILE` for each file, one for each processor at a time. The results
# of a file are printed together, with its name in front. A program that ends with an error but reports no failure
# counts as a failure.
run_programs() {
    local prefix=() name status file
    while [ "$1" != -- ]; do prefix+=("$1"); shift; done
    shift
    [ $# -gt 0 ] || { skip "programs" "none there"; return; }
    printf '%s\0' "$@" | xargs -0 -P "$(nproc)" -I{} bash -c '
        out=$1/${2##*/} file=$2
        shift 2
        "$@" "$file" >"$out.out" 2>"$out.err" </dev/null
        echo $? >"$out.status"' - "$tmp" {} "${prefix[@]}"
    for file; do
        name=${file##*/}
        read -r status <"$tmp/$name.status" || status=unknown
        # cmocka prints "not ok 3 - # SKIP name" for a test that skips itself
        sed -E -e "s/^not ok( [0-9]+)? *-? *# *SKIP *(.*)/ok - $name: \2 # SKIP its source says why/; t" \
            -e "s/^((not )?ok)( [0-9]+)? *-? */\1 - $name: /" "$tmp/$name.out"
        if [ "$status" != 0 ] && ! grep -q '^not ok' "$tmp/$name.out"; then
            not_ok "$name ends well" "exit status $status"
        elif ! grep -qE '^(not )?ok' "$tmp/$name.out"; then
            not_ok "$name reports results"
        fi
        if [ "$status" != 0 ]; then
            head -c 6000 "$tmp/$name.err" | sed 's/^/#   /'
        fi
    done
}
