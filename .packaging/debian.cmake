# debian.cmake - Debian packages by cpack: libtinymem0, libtinymem-dev, tinymem-tools, librust-tinymem-dev.
#   cmake -S . -B b -DCMAKE_INSTALL_PREFIX=/usr && cmake --build b && (cd b && cpack)
set(TMI_PACKAGER "tinymem authors <packages@tinymem.invalid>" CACHE STRING "Maintainer of the packages, NAME <ADDRESS>")
find_program(TMI_GZIP gzip)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME tinymem)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "memory allocator that gives fragmented memory back")
set(CPACK_PACKAGE_CONTACT ${TMI_PACKAGER})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_ALL runtime dev tools rust)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/compress.cmake)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 0tinymem1)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

# tmi_package(COMPONENT NAME SECTION TEXT DEPENDS RECOMMENDS)
macro(tmi_package component name section text depends recommends)
  string(TOUPPER ${component} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${name})
  set(CPACK_DEBIAN_${upper}_PACKAGE_SECTION ${section})
  set(CPACK_DEBIAN_${upper}_PACKAGE_DEPENDS "${depends}")
  set(CPACK_DEBIAN_${upper}_PACKAGE_RECOMMENDS "${recommends}")
  set(CPACK_COMPONENT_${upper}_DESCRIPTION "${text}")
  configure_file(${CMAKE_CURRENT_LIST_DIR}/debian/changelog.in debian/${name}/changelog @ONLY)
  if(TMI_GZIP)
    execute_process(COMMAND ${TMI_GZIP} -9nf ${PROJECT_BINARY_DIR}/debian/${name}/changelog)
    file(RENAME ${PROJECT_BINARY_DIR}/debian/${name}/changelog.gz
      ${PROJECT_BINARY_DIR}/debian/${name}/changelog.Debian.gz)
    install(FILES ${PROJECT_BINARY_DIR}/debian/${name}/changelog.Debian.gz
      DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${name} COMPONENT ${component} EXCLUDE_FROM_ALL)
  endif()
  install(FILES ${CMAKE_CURRENT_LIST_DIR}/debian/copyright
    DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${name} COMPONENT ${component} EXCLUDE_FROM_ALL)
endmacro()

set(same_version "libtinymem${PROJECT_VERSION_MAJOR} (= ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})")
tmi_package(runtime libtinymem${PROJECT_VERSION_MAJOR} libs [[
tinymem replaces malloc in programs that know nothing of it, by LD_PRELOAD or
by linking, and gives the pages of a fragmented heap back one by one.
.
Programs that allocate by handles get their heap compacted while they run.
.
This package has the shared libraries.]] "" "")
tmi_package(dev libtinymem-dev libdevel [[
tinymem replaces malloc in programs that know nothing of it, and compacts the
heap of those that allocate by handles.
.
This package has headers, static libraries, manual pages, and files for CMake
and pkg-config.]] "${same_version}" "python3:any")
tmi_package(tools tinymem-tools utils [[
tinymem replaces malloc in programs that know nothing of it, and compacts the
heap of those that allocate by handles.
.
This package has what is for users of programs: the manual of the library's
options, and commands.]] "${same_version}" "")
# A package of its own, under the name that Debian gives to crates: packages of Rust programs depend on that name, and
# those who write C need no crate. It is text, for all architectures. As Debian's, it provides a name for each feature,
# with and without the parts of the version.
tmi_package(rust librust-tinymem-dev rust [[
tinymem replaces malloc in programs that know nothing of it, and compacts the
heap of those that allocate by handles.
.
This package has the source of the Rust crate tinymem, for cargo and for
packages of Rust programs.]] "libtinymem-dev (>= ${PROJECT_VERSION}), pkg-config" "")
set(CPACK_DEBIAN_RUST_PACKAGE_ARCHITECTURE all)
set(provides "")
set(this_version "(= ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})")
foreach(part "" "-${PROJECT_VERSION_MAJOR}" "-${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}" "-${PROJECT_VERSION}")
  foreach(feature "" +default +malloc +static +std)
    list(APPEND provides "librust-tinymem${part}${feature}-dev ${this_version}")
  endforeach()
endforeach()
list(REMOVE_AT provides 0) # the package's own name
list(JOIN provides ", " CPACK_DEBIAN_RUST_PACKAGE_PROVIDES)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
# ldconfig by a trigger, and not by scripts, which cpack writes unless it is given some. A script that is missing is
# left out.
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_EXTRA
  ${CMAKE_CURRENT_LIST_DIR}/debian/triggers
  ${PROJECT_BINARY_DIR}/debian/none/postinst ${PROJECT_BINARY_DIR}/debian/none/postrm)
if(TARGET tinymem_tool)
  set(CPACK_DEBIAN_TOOLS_PACKAGE_SHLIBDEPS ON)
else()
  set(CPACK_DEBIAN_TOOLS_PACKAGE_ARCHITECTURE all)
endif()
include(CPack)
