/* target.h - another process, and where the library's records lie in it.
 *
 * Idea: /proc/PID/maps names the files that are mapped; in the memory of each its dynamic symbols are looked up, so
 * that no file need be there any more. A program that the library is linked into statically has no dynamic symbol; it
 * is looked for in the symbol table of the file, which /proc/PID/exe leads to. The symbol is tm_layout_, see layout.h.
 *
 * Reading is process_vm_readv: nothing runs in the process, nothing stops it. What it has not touched is not touched
 * by the reader either: target_read_present asks /proc/PID/pagemap first, since reading a page for the first time
 * would make the kernel map one.
 *
 * Fails: one line that tells why, and exit status 1. */
#ifndef TMI_TOOL_TARGET_H
#define TMI_TOOL_TARGET_H

#include "heap/layout.h"
#include "threads/request.h"

#include <sys/types.h>
#include <sys/uio.h>

typedef struct target {
    pid_t pid;
    char name[64];      // of the program
    char file[4096]; // that the library is in
    unsigned libraries; // how many were found
    uintptr_t place[TMI_PLACES];
    tmi_layout_facts_t facts;
    size_t page_size;
    int pagemap; // or -1
} target_t;

/* A process by its number, and in it the library whose path has `which` in it (NULL: the one that serves malloc). */
void target_open(target_t *t, const char *command, const char *number, const char *which);

/* The same with a library or without: NULL, or why there is none that this tool reads ("": there is none at all); then
 * only memory can be read. */
const char *target_open_any(target_t *t, const char *command, const char *number);

/* Copy memory. False: it is not mapped, and zeroes are given. */
bool target_read(const target_t *t, uintptr_t from, void *to, size_t nbytes);
/* The same, but zeroes for pages that hold no memory. */
void target_read_present(const target_t *t, uintptr_t from, void *to, size_t nbytes);
/* Many pieces: pieces[i] of the process goes to to[i]. ok[i] tells whether it was there. */
void target_read_many(const target_t *t, const struct iovec *pieces, void *const *to, bool *ok, size_t n);
bool target_write(const target_t *t, uintptr_t to, const void *from, size_t nbytes);

/* Whether the process is there still. */
bool target_alive(const target_t *t);
/* Whether it is stopped, by a signal or a debugger: then it serves nothing. */
bool target_stopped(const target_t *t);

/* A file below /proc/PID as text, "" if it cannot be read; the caller frees it. */
char *target_file(pid_t pid, const char *name);
/* The number behind "NAME:" in such a text, times 1024 if it is in kB. False: there is none. */
bool target_field(const char *text, const char *name, size_t *value);

/* ---- requests, in request.c ---------------------------------------------------------------------------------- */

/* Whether the process has somebody who serves it. */
bool target_serves(const target_t *t, tmi_request_t which);
/* Leave it and wait. Returns whether it was served. */
bool target_leave(const target_t *t, tmi_request_t which, unsigned long wait_ms);
/* Of a clock that only goes forward. */
unsigned long tool_now_ms(void);

/* ---- symbols ------------------------------------------------------------------------------------------------- */

/* The address of a dynamic symbol in a file mapped at `base`, or 0. */
uintptr_t elf_dynamic_symbol(const target_t *t, uintptr_t base, const char *name);
/* The same in an object whose addresses are `bias` off, and whose dynamic section is there. */
uintptr_t elf_symbol_of(const target_t *t, uintptr_t bias, uintptr_t dynamic, const char *name);
/* The value of a symbol in a file's table, to which the caller adds where it is mapped, or 0; *fixed tells that it is
 * where it says. */
uintptr_t elf_file_symbol(const char *path, const char *name, bool *fixed);

#endif
