# single_file.cmake - write the single-file form of the pool, tinymem_pool.h and tinymem_pool.c, for copying into a
# project:
#   cmake -DOUT=DIR -P lib/pool/single_file.cmake
# The header has its configuration in it; the source is all of lib/pool, its private headers first, everything static
# but the API.
cmake_minimum_required(VERSION 3.25)
cmake_path(GET CMAKE_CURRENT_LIST_DIR PARENT_PATH lib)
cmake_path(GET lib PARENT_PATH root)
set(private pool gap quick chain place)
set(sources alloc init chain realloc pin compact check stats)

function(read_without_includes out path)
  file(READ ${path} text)
  string(REGEX REPLACE "#include \"(tinymem/|pool/|tinymem_pool)[a-z_/]*\\.h\"\n" "" text "${text}")
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

# Lists would take semicolons and brackets in C for their own: text is only ever quoted.
function(append_file out path)
  read_without_includes(text ${path})
  set(${out} "${${out}}${text}\n" PARENT_SCOPE)
endfunction()

read_without_includes(config ${root}/include/tinymem/tinymem_pool_config.h)
file(READ ${root}/include/tinymem/tinymem_pool.h header)
string(REPLACE "#include \"tinymem_pool_config.h\"\n" "\n${config}\n" header "${header}")

set(source "/* tinymem_pool.c - the single-file form of tinymem's pool, made from lib/pool. Compile it with your
 * project, with tinymem_pool.h beside it. The license is at the end. */
#define TMI_POOL_SINGLE_FILE
#include \"tinymem_pool.h\"

")
foreach(name ${private})
  append_file(source ${lib}/pool/${name}.h)
endforeach()
foreach(name ${sources})
  append_file(source ${lib}/pool/${name}.c)
endforeach()
file(READ ${root}/LICENSE license)
string(APPEND source "/*\n${license}*/\n")

file(WRITE ${OUT}/tinymem_pool.h "${header}")
file(WRITE ${OUT}/tinymem_pool.c "${source}")
