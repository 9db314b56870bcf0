# fetch.sh - sourced by tests: downloads packages of other releases and architectures and unpacks them into a folder.
# The system itself is not changed.

# Prints the mirror in the system's own list of sources.
mirror_of_debian() {
    cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
        grep -v '^ *#' | grep -oE '(http|https|mirror\+file)://?[^ ]+/debian/?( |$)' | head -1 | tr -d ' '
}

# fetch SUITE ARCH FOLDER PACKAGE...: each PACKAGE is a pattern (grep -E) of a package name. Among the names that match,
# the one with the highest version in it is taken.
fetch() {
    local suite=$1 arch=$2 folder=$3 apt=$tmp/apt-$1-$2 mirror pattern package
    local options=(-q -o "Dir::Etc::SourceList=$apt/etc/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$apt/lists" -o Dir::State::Status=/dev/null -o "Dir::Cache=$apt/cache"
        -o "APT::Architecture=$arch" -o "APT::Architectures=$arch" -o APT::Sandbox::User=root)
    shift 3
    mirror=$(mirror_of_debian)
    mkdir -p "$apt"/{lists/partial,cache/archives/partial,etc} "$folder"
    printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' \
        "${mirror:-http://deb.debian.org/debian}" "$suite" >"$apt/etc/sources.list"
    apt-get "${options[@]}" update >"$apt/log" 2>&1 || { cat "$apt/log"; return 1; }
    for pattern; do
        package=$(apt-cache "${options[@]}" pkgnames 2>/dev/null | grep -xE "$pattern" | sort -V | tail -1)
        if [ -z "$package" ]; then
            echo "$suite has no package for $arch whose name is $pattern"
            return 1
        fi
        (cd "$apt" && apt-get "${options[@]}" download "$package" >"$apt/log" 2>&1 &&
            dpkg-deb -x "$package"_*.deb "$folder") || { echo "$package:"; tail -5 "$apt/log"; return 1; }
    done
}
