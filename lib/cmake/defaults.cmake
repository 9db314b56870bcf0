# defaults.cmake - the kind of build, where nobody has chosen one. A project around this one keeps its own.
#
# By itself, tinymem is built as Release, which is -O3 and link-time optimization. CMAKE_BUILD_TYPE, CFLAGS and TMI_LTO
# (or
# CMAKE_INTERPROCEDURAL_OPTIMIZATION) change that: CMAKE_BUILD_TYPE=None takes the packager's CFLAGS as they are.
if(PROJECT_IS_TOP_LEVEL)
  get_property(multi_config GLOBAL PROPERTY GENERATOR_IS_MULTI_CONFIG)
  if(NOT CMAKE_BUILD_TYPE AND NOT multi_config)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Kind of build" FORCE)
  endif()
  # Ours in place of CMake's, but not of the packager's.
  if(CMAKE_C_FLAGS_RELEASE STREQUAL "-O3 -DNDEBUG")
    set(CMAKE_C_FLAGS_RELEASE "-O3")
  endif()
  if(CMAKE_C_FLAGS_DEBUG STREQUAL "-g")
    set(CMAKE_C_FLAGS_DEBUG "-O1 -g -foptimize-sibling-calls") # profiles rely on them, see lib/heap/heap.c
  endif()
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
endif()

if(DEFINED CMAKE_INTERPROCEDURAL_OPTIMIZATION)
  set(tmi_lto_default ${CMAKE_INTERPROCEDURAL_OPTIMIZATION})
elseif(CMAKE_BUILD_TYPE STREQUAL Debug OR CMAKE_C_FLAGS MATCHES "-fno-lto")
  set(tmi_lto_default OFF)
else()
  set(tmi_lto_default ON)
endif()
option(TMI_LTO "Link-time optimization of the shared libraries" ${tmi_lto_default})

# A project without a kind of build would get an allocator without optimization.
set(tmi_optimize "")
if(NOT PROJECT_IS_TOP_LEVEL AND NOT CMAKE_C_FLAGS MATCHES "-O")
  set(tmi_optimize $<$<CONFIG:>:-O3>)
endif()
