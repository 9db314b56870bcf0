/* dump.h - statistics written without a call of the program: at its end, on a signal, at intervals.
 *
 * Idea: the options give form and place. The signal handler writes at once. Reading the figures takes no lock and no
 * memory of the heap, so the handler may have interrupted any code. A program that sleeps in poll answers, too; a
 * request would wait for its next slow path. The handler posts a request (request.h) only if a text is being written at
 * the moment. The interval is a request by the clock. The library never replaces a handler that the program has set,
 * and the program may replace the library's.
 *
 * JSON is appended to the file, one line each time. Prometheus' text replaces the file by renaming, since other
 * programs may be reading it. "%p" in the file's name stands for the number of the process.
 *
 * Fails: a file that cannot be written is reported once, and the program continues. Locks: none. */
#ifndef TMI_HEAP_DUMP_H
#define TMI_HEAP_DUMP_H

#include "os/options.h"

/* Called once, at the start of a process that has options. Duplicates stderr, which many programs close before they
 * end. */
void tmi_dump_at_start(void) TMI_COLD;

/* Write the figures now. Async-signal-safe. */
void tmi_dump_now(void) TMI_COLD;

/* Append a line to the file, or to stderr. */
void tmi_dump_line(const char *line, size_t nbytes) TMI_COLD;

/* The name of a file, in TMI_DUMP_NAME bytes: an option's value with %p replaced, and a suffix. */
enum { TMI_DUMP_NAME = TMI_PATH_MAX + 64 };
void tmi_dump_name(char *out, const char *pattern, const char *suffix) TMI_COLD;

/* One thread of a process writes at a time. Meanwhile *writer is the number of the process, else 0. A child of fork may
 * inherit the parent's number, which counts as 0. False: another thread is writing. */
bool tmi_dump_begin(uint32_t *writer) TMI_COLD;
void tmi_dump_end(uint32_t *writer) TMI_COLD;

#endif
