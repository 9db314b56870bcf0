# install.cmake - what goes where. Components: runtime (the shared libraries), dev, tools, rust.
include(CMakePackageConfigHelpers)

set(tmi_targets tinymem_pool)
set(tmi_headers "^tinymem_pool.*\\.h$")
if(NOT TMI_PARTS STREQUAL pool)
  list(PREPEND tmi_targets tinymem_handles tinymem_handles_static)
  set(tmi_headers "\\.(h|hpp)$")
endif()
if(TMI_PARTS STREQUAL all)
  list(PREPEND tmi_targets tinymem tinymem_static)
endif()

install(TARGETS ${tmi_targets} EXPORT tinymemTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT dev
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev)
if(TARGET tinymem_tool)
  install(TARGETS tinymem_tool RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tools)
endif()

file(GLOB headers CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/include/tinymem include/tinymem/*.h
    include/tinymem/*.hpp)
list(FILTER headers INCLUDE REGEX "${tmi_headers}")
list(TRANSFORM headers PREPEND ${PROJECT_SOURCE_DIR}/include/tinymem/)
install(FILES ${headers} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tinymem COMPONENT dev)
if(NOT TMI_PARTS STREQUAL pool)
  install(DIRECTORY include/tinymem/cxx DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tinymem COMPONENT dev
    FILES_MATCHING PATTERN "*.hpp")
endif()
install(FILES ${pool_single} DESTINATION ${CMAKE_INSTALL_DATADIR}/tinymem/pool COMPONENT dev)
install(PROGRAMS lib/pool/strip_svg.py DESTINATION ${CMAKE_INSTALL_DATADIR}/tinymem/pool COMPONENT dev)

# ---- for CMake
# ---------------------------------------------------------------------------------------------------------------

set(tmi_config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/tinymem)
configure_package_config_file(lib/cmake/tinymemConfig.cmake.in tinymemConfig.cmake INSTALL_DESTINATION ${tmi_config_dir}
  NO_SET_AND_CHECK_MACRO)
# The interface is kept as long as the name of the shared library is, which has the major version.
write_basic_package_version_file(tinymemConfigVersion.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${PROJECT_BINARY_DIR}/tinymemConfig.cmake ${PROJECT_BINARY_DIR}/tinymemConfigVersion.cmake
  DESTINATION ${tmi_config_dir} COMPONENT dev)
install(EXPORT tinymemTargets NAMESPACE tinymem:: DESTINATION ${tmi_config_dir} COMPONENT dev)

# ---- for pkg-config
# ----------------------------------------------------------------------------------------------------------

# Found from where the file lies, so that the prefix may be chosen at installation, or moved.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  set(tmi_pc_prefix ${CMAKE_INSTALL_PREFIX})
  set(tmi_pc_libdir ${CMAKE_INSTALL_LIBDIR})
else()
  cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX BASE_DIRECTORY ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig OUTPUT_VARIABLE
      up)
  set(tmi_pc_prefix \${pcfiledir}/${up})
  string(REGEX REPLACE "/$" "" tmi_pc_prefix "${tmi_pc_prefix}")
  set(tmi_pc_libdir \${prefix}/${CMAKE_INSTALL_LIBDIR})
endif()
if(IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
  set(tmi_pc_includedir ${CMAKE_INSTALL_INCLUDEDIR})
else()
  set(tmi_pc_includedir \${prefix}/${CMAKE_INSTALL_INCLUDEDIR})
endif()

function(tinymem_pc file description libs private)
  configure_file(lib/cmake/pkgconfig.pc.in ${file}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${file}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)
endfunction()
if(TARGET tinymem)
  tinymem_pc(tinymem "${PROJECT_DESCRIPTION}" 
    "-Wl,-u,malloc -Wl,--push-state,--no-as-needed -ltinymem -Wl,--pop-state" "-pthread")
endif()
if(TARGET tinymem_handles)
  tinymem_pc(tinymem-handles "The movable heap of tinymem beside any malloc" "-ltinymem-handles" "-pthread")
endif()
tinymem_pc(tinymem-pool "Handles over a buffer that you own, from tinymem" "-ltinymem_pool" "")

# ---- manual
# ------------------------------------------------------------------------------------------------------------------

# A page is found by each name in the first lines that begin with .Nm, by a file that leads to it.
function(tinymem_man page section component)
  install(FILES preload/man/${page}.${section} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section} COMPONENT ${component})
  file(STRINGS preload/man/${page}.${section} lines REGEX "^\\.Nm [a-z_]+")
  string(REGEX MATCHALL "(tm_|tinymem::)[a-z0-9_]+" names "${lines}")
  list(REMOVE_DUPLICATES names)
  list(REMOVE_ITEM names ${page})
  foreach(name ${names})
    file(WRITE ${PROJECT_BINARY_DIR}/man/${name}.${section} ".so man${section}/${page}.${section}\n")
    install(FILES ${PROJECT_BINARY_DIR}/man/${name}.${section}
      DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section} COMPONENT ${component})
  endforeach()
endfunction()
file(GLOB pages CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/preload/man preload/man/*.[137])
foreach(file ${pages})
  cmake_path(GET file STEM page)
  cmake_path(GET file EXTENSION LAST_ONLY section)
  string(SUBSTRING ${section} 1 -1 section)
  set(component tools)
  if(section EQUAL 3)
    set(component dev)
  endif()
  if(TMI_PARTS STREQUAL all OR (section EQUAL 3 AND (page MATCHES pool OR TMI_PARTS STREQUAL handles)))
    tinymem_man(${page} ${section} ${component})
  endif()
endforeach()

if(TMI_PARTS STREQUAL all)
  include(lib/cmake/rust.cmake)
endif()

if(PROJECT_IS_TOP_LEVEL AND TMI_PARTS STREQUAL all)
  include(.packaging/debian.cmake OPTIONAL) # a tree without dotfiles is built all the same
endif()
