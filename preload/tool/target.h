/* target.h - another process, and the addresses of the library's records in it.
 *
 * Idea: the symbol tm_layout_ (layout.h) holds the addresses. It is looked up among the dynamic symbols of each mapped
 * file in /proc/PID/maps, in the memory of the process, so the files need not exist any more. A program with the
 * library linked in statically has no such dynamic symbol; it is looked up in the symbol table of the file
 * /proc/PID/exe.
 *
 * Memory is read by process_vm_readv, which neither runs code in the process nor stops it. Reading an untouched page
 * would make the kernel map one. So target_read_present first reads in /proc/PID/pagemap which pages are present.
 *
 * Fails: one line with the reason, and exit status 1. */
#ifndef TMI_TOOL_TARGET_H
#define TMI_TOOL_TARGET_H

#include "heap/layout.h"
#include "threads/request.h"

#include <sys/types.h>
#include <sys/uio.h>

typedef struct target {
    pid_t pid;
    char name[64];      // the program's name
    char file[4096];    // path of the library, or of the program that contains it
    unsigned libraries; // number of libraries found
    uintptr_t place[TMI_PLACES];
    tmi_layout_facts_t facts;
    size_t page_size;
    int pagemap; // descriptor of /proc/PID/pagemap, or -1
} target_t;

/* Open the process with that ID, and find the library whose path contains `which` (NULL: the one that serves malloc).
 */
void target_open(target_t *t, const char *command, const char *number, const char *which);

/* The same for a process that may be without the library. Returns NULL; or the reason why the library's records cannot
 * be read ("" if there is no library), and then only target_read and the like can be used. */
const char *target_open_any(target_t *t, const char *command, const char *number);

/* Copy memory. False: it is not mapped, and *to is filled with zeros. */
bool target_read(const target_t *t, uintptr_t from, void *to, size_t nbytes);
/* The same, but pages that are not present are not read: their bytes are zero. */
void target_read_present(const target_t *t, uintptr_t from, void *to, size_t nbytes);
/* Copy many pieces: pieces[i] of the process to to[i]. ok[i]: it could be read. */
void target_read_many(const target_t *t, const struct iovec *pieces, void *const *to, bool *ok, size_t n);
bool target_write(const target_t *t, uintptr_t to, const void *from, size_t nbytes);

/* Whether the process still exists. */
bool target_alive(const target_t *t);
/* Whether it is stopped by a signal or a debugger, so that it cannot serve requests. */
bool target_stopped(const target_t *t);

/* A file below /proc/PID as text, "" if it cannot be read; the caller frees it. */
char *target_file(pid_t pid, const char *name);
/* The number behind "NAME:" in such a text, times 1024 if it is in kB. False: there is none. */
bool target_field(const char *text, const char *name, size_t *value);

/* ---- requests, in request.c ---------------------------------------------------------------------------------- */

/* Whether the process has a handler for the request. */
bool target_serves(const target_t *t, tmi_request_t which);
/* Leave the request and wait up to wait_ms milliseconds. Returns whether it was served. */
bool target_leave(const target_t *t, tmi_request_t which, unsigned long wait_ms);
/* Milliseconds of a monotonic clock. */
unsigned long tool_now_ms(void);

/* ---- symbols ------------------------------------------------------------------------------------------------- */

/* The address of a dynamic symbol in a file mapped at `base`, or 0. */
uintptr_t elf_dynamic_symbol(const target_t *t, uintptr_t base, const char *name);
/* The same in an object that is loaded with offset `bias`, and whose dynamic section is at `dynamic`. */
uintptr_t elf_symbol_of(const target_t *t, uintptr_t bias, uintptr_t dynamic, const char *name);
/* The value of a symbol in a file's symbol table, or 0. *fixed: it is an absolute address; otherwise the caller adds
 * the address at which the file is mapped. */
uintptr_t elf_file_symbol(const char *path, const char *name, bool *fixed);

#endif
