# fetch.sh - sourced: packages of other releases and architectures, unpacked into a folder. Nothing on the system changes.

# fetch SUITE ARCH FOLDER PACKAGE-PATTERN...: the newest package that each pattern (of awk) finds.
fetch() {
    local suite=$1 arch=$2 folder=$3 apt=$tmp/apt-$1-$2 mirror pattern package
    shift 3
    mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -oE '(http|https|mirror\+file)://?[^ ]+/debian/?( |$)' | head -1 | tr -d ' ')
    mkdir -p "$apt"/{lists/partial,cache/archives/partial,etc} "$folder"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${mirror:-http://deb.debian.org/debian} $suite main" >"$apt/etc/sources.list"
    local options=(-q -o "Dir::Etc::SourceList=$apt/etc/sources.list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt/cache"
        -o "Dir::State::Status=/dev/null" -o "APT::Architecture=$arch" -o "APT::Architectures=$arch" -o APT::Sandbox::User=root)
    [ -n "$(ls "$apt/lists" | grep Packages)" ] || apt-get "${options[@]}" update >"$apt/log" 2>&1 || { cat "$apt/log"; return 1; }
    for pattern; do
        package=$(apt-cache "${options[@]}" pkgnames 2>/dev/null | grep -xE "$pattern" | sort -V | tail -1)
        [ -n "$package" ] && (cd "$apt" && apt-get "${options[@]}" download "$package" >"$apt/log" 2>&1 && dpkg-deb -x "$package"_*.deb "$folder") || { echo "$pattern: $package"; tail -5 "$apt/log"; return 1; }
    done
}
