# platform.cmake - refuse what tinymem does not run on, in one sentence that names what does; and choose the parts to
# build.
#
# TMI_PARTS   needs
# all         Linux, 64 bits, x86-64 or arm64, glibc, gcc or clang
# handles     the same, but any C library
# pool        a C99 compiler with GNU extensions
include(CheckCSourceCompiles)

set(TMI_PARTS all CACHE STRING "What to build: all, handles (the movable heap without malloc), or pool")
set_property(CACHE TMI_PARTS PROPERTY STRINGS all handles pool)
if(NOT TMI_PARTS MATCHES "^(all|handles|pool)$")
  message(FATAL_ERROR "tinymem: TMI_PARTS is all, handles or pool, and not \"${TMI_PARTS}\".")
endif()

function(tmi_refuse why works)
  message(FATAL_ERROR "tinymem: ${why}; what works there is ${works}")
endfunction()

set(tmi_pool_works "the pool: configure with -DTMI_PARTS=pool.")
set(tmi_handles_works "libtinymem-handles, the movable heap without malloc: configure with -DTMI_PARTS=handles.")
if(NOT TMI_PARTS STREQUAL pool)
  if(NOT CMAKE_SYSTEM_NAME STREQUAL Linux)
    tmi_refuse("needs Linux, and this build is for ${CMAKE_SYSTEM_NAME}" "${tmi_pool_works}")
  endif()
  if(NOT CMAKE_SIZEOF_VOID_P EQUAL 8)
    math(EXPR bits "8 * ${CMAKE_SIZEOF_VOID_P}")
    tmi_refuse("needs 64-bit addresses, and this compiler makes programs of ${bits} bits" "${tmi_pool_works}")
  endif()
  check_c_source_compiles("
    #if !defined __x86_64__ && !defined __aarch64__
    #error
    #endif
    int main(void) { return 0; }" TMI_KNOWN_PROCESSOR)
  if(NOT TMI_KNOWN_PROCESSOR)
    tmi_refuse("needs x86-64 or arm64, and this build is for ${CMAKE_SYSTEM_PROCESSOR}" "${tmi_pool_works}")
  endif()
  if(NOT CMAKE_C_COMPILER_ID MATCHES "^(GNU|Clang)$")
    tmi_refuse("needs gcc or clang, and this compiler is ${CMAKE_C_COMPILER_ID}" "${tmi_pool_works}")
  endif()
endif()
if(TMI_PARTS STREQUAL all)
  check_c_source_compiles("
    #include <features.h>
    #ifndef __GLIBC__
    #error
    #endif
    int main(void) { return 0; }" TMI_GLIBC)
  if(NOT TMI_GLIBC)
    tmi_refuse("replaces glibc's malloc, and this compiler's C library is another one, such as musl"
        "${tmi_handles_works}")
  endif()
endif()
