# recipes.sh - sourced by tests/packages/run: the recipes for other package managers. Needs $version, $consumer, $tmp.

is "all recipes have the version" \
    "$(for file in .packaging/meson/packagefiles/tinymem/meson.build .packaging/nix/default.nix \
    .packaging/vcpkg/tinymem/vcpkg.json .packaging/conan/conanfile.py; do
        grep -qE "\"?version\"?( =| :|:) ['\"]$version['\"]" "$file" && echo 1 || echo "$file"
    done | sort -u | xargs)" 1
is "the wrap has it too" "$(sed -n 's/^revision = v//p' .packaging/meson/tinymem.wrap)" "$version"

meson_works() {
    local dir=$tmp/meson
    mkdir -p "$dir/subprojects/tinymem"
    cp -r lib preload include "$dir/subprojects/tinymem/"
    cp -r .packaging/meson/packagefiles/tinymem/. "$dir/subprojects/tinymem/"
    cp .packaging/meson/tinymem.wrap "$dir/subprojects/"
    cp "$consumer"/*.c "$dir/"
    cat >"$dir/meson.build" <<'MESON'
project('consumer', 'c')
executable('raw', 'raw.c', dependencies : dependency('tinymem'))
executable('raw_static', 'raw.c', dependencies : dependency('tinymem-static'))
executable('handles', 'handles.c', dependencies : dependency('tinymem-handles'))
executable('pool', 'pool.c', dependencies : dependency('tinymem-pool'))
MESON
    holds "meson: setup" meson setup --wrap-mode=nodownload "$dir/b" "$dir"
    holds "meson: compile" meson compile -C "$dir/b"
    for program in raw raw_static handles; do
        is "meson: $program" "$("$dir/b/$program" 2>&1)" "$version serves"
    done
    is "meson: pool" "$("$dir/b/pool")" "pool serves"
}
if type -P meson >/dev/null && type -P ninja >/dev/null; then
    meson_works
else
    skip "meson" "meson is not installed"
fi

# Each function of vcpkg's does what matters here.
cat >"$tmp/vcpkg.cmake" <<'CMAKE'
set(VERSION 0)
function(vcpkg_from_git)
  cmake_parse_arguments(arg "" "OUT_SOURCE_PATH;URL;REF" "" ${ARGN})
  set(${arg_OUT_SOURCE_PATH} ${ROOT} PARENT_SCOPE)
endfunction()
function(vcpkg_cmake_configure)
  cmake_parse_arguments(arg "" "SOURCE_PATH" "OPTIONS" ${ARGN})
  execute_process(COMMAND ${CMAKE_COMMAND} -S ${arg_SOURCE_PATH} -B ${TMP}/b ${arg_OPTIONS}
    COMMAND_ERROR_IS_FATAL ANY ERROR_VARIABLE warnings)
  if(warnings)
    message(FATAL_ERROR "${warnings}")
  endif()
endfunction()
function(vcpkg_cmake_install)
endfunction()
function(vcpkg_cmake_config_fixup)
  cmake_parse_arguments(arg "" "PACKAGE_NAME;CONFIG_PATH" "" ${ARGN})
  if(NOT EXISTS ${PREFIX}/${arg_CONFIG_PATH}/${arg_PACKAGE_NAME}Config.cmake)
    message(FATAL_ERROR "no such file")
  endif()
endfunction()
function(vcpkg_fixup_pkgconfig)
endfunction()
function(vcpkg_install_copyright)
  cmake_parse_arguments(arg "" "" "FILE_LIST" ${ARGN})
  file(INSTALL ${arg_FILE_LIST} DESTINATION ${CURRENT_PACKAGES_DIR})
endfunction()
set(PORT tinymem)
set(CURRENT_PACKAGES_DIR ${TMP}/package)
include(${PORTFILE})
CMAKE
port() { cmake -DROOT="$TEST_ROOT" -DTMP="$tmp/vcpkg" -DPREFIX="$tmp/plain" -DPORTFILE="$1" -P "$tmp/vcpkg.cmake"; }
holds "the port's installation" cmake --install "$build" --prefix "$tmp/plain"
[ ! -d "$tmp/plain/lib/$triplet" ] || cp -r "$tmp/plain/lib/$triplet/." "$tmp/plain/lib/"
holds "vcpkg's portfile runs" port "$TEST_ROOT/.packaging/vcpkg/tinymem/portfile.cmake"
holds "vcpkg.json is JSON" python3 -c 'import json, sys; json.load(open(sys.argv[1]))' \
    .packaging/vcpkg/tinymem/vcpkg.json
sed 's/TMI_TESTS/TMI_TSETS/' .packaging/vcpkg/tinymem/portfile.cmake >"$tmp/portfile.cmake"
cp .packaging/vcpkg/tinymem/usage "$tmp/"
if port "$tmp/portfile.cmake" >"$tmp/out" 2>&1; then
    not_ok "control: an option that there is not is noticed"
else
    ok "control: an option that there is not is noticed"
fi

cat >"$tmp/conan_check.py" <<'PYTHON'
import importlib.util, re, sys, types
for name in ("conan", "conan.errors", "conan.tools", "conan.tools.cmake", "conan.tools.files"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["conan"].ConanFile = object
sys.modules["conan.errors"].ConanInvalidConfiguration = type("Refused", (Exception,), {})
for name in ("CMake", "CMakeToolchain", "cmake_layout"):
    setattr(sys.modules["conan.tools.cmake"], name, None)
copied = []
sys.modules["conan.tools.files"].copy = lambda recipe, pattern, source, to: copied.append(pattern)
spec = importlib.util.spec_from_file_location("conanfile", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
recipe = module.Tinymem()
recipe.recipe_folder = recipe.export_sources_folder = ""
recipe.export_sources()
assert {"CMakeLists.txt", "lib/*", "preload/*", "include/*", ".packaging/*"} <= set(copied), copied
for system, arch, wanted in (("Linux", "x86_64", True), ("Windows", "x86_64", False), ("Linux", "x86", False)):
    recipe.settings = types.SimpleNamespace(os=system, arch=arch)
    try:
        recipe.validate()
        assert wanted, (system, arch)
    except sys.modules["conan.errors"].ConanInvalidConfiguration:
        assert not wanted, (system, arch)
PYTHON
holds "Conan's recipe is read, takes the sources, and refuses other systems" python3 "$tmp/conan_check.py" \
    .packaging/conan/conanfile.py
