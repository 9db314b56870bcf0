# rust.cmake - the Rust crate goes where Debian's packages put crates: a directory that cargo takes for a registry
# (source replacement), offline. Component: rust.
set(tmi_crate ${CMAKE_INSTALL_DATADIR}/cargo/registry/tinymem-${PROJECT_VERSION})
install(FILES include/rust/tinymem/Cargo.toml include/rust/tinymem/build.rs include/rust/tinymem/README.md
  DESTINATION ${tmi_crate} COMPONENT rust)
install(DIRECTORY include/rust/tinymem/src DESTINATION ${tmi_crate} COMPONENT rust FILES_MATCHING PATTERN "*.rs")

# Cargo wants this file, and refuses a crate of which a file differs from it. Written at installation: the sources may
# have changed since the project was configured.
set(tmi_checksums [=[
cmake_path(ABSOLUTE_PATH crate BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}")
list(APPEND CMAKE_INSTALL_MANIFEST_FILES "${crate}/.cargo-checksum.json")
set(crate "$ENV{DESTDIR}${crate}")
file(GLOB_RECURSE files LIST_DIRECTORIES false RELATIVE "${crate}" "${crate}/*.rs" "${crate}/*.toml" "${crate}/*.md")
list(SORT files)
set(text "")
foreach(file ${files})
  file(SHA256 "${crate}/${file}" sum)
  string(APPEND text ",\"${file}\":\"${sum}\"")
endforeach()
string(REGEX REPLACE "^," "" text "${text}")
file(WRITE "${crate}/.cargo-checksum.json" "{\"files\":{${text}}}\n")
file(CHMOD "${crate}/.cargo-checksum.json" PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
]=])
install(CODE "set(crate \"${tmi_crate}\")\n${tmi_checksums}" COMPONENT rust)
