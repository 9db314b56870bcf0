/* dump.h - statistics written without a call of the program: at its end, on a signal, every so often.
 *
 * Idea: the options say in which form and where. At a signal the handler writes at once: reading the figures takes no
 * lock and no memory of the heap, so it may have interrupted anything, and a program that sleeps in poll answers too,
 * which no request left for a slow path would make it do. Only when a text is being written just then does the handler
 * leave a request (request.h) instead. The interval is a request by the clock. A handler that the program has set, or
 * sets later, is the program's.
 *
 * JSON is appended to the file, a line each time; Prometheus' text replaces it, by renaming, for programs that read it
 * meanwhile. "%p" in the file's name stands for the number of the process.
 *
 * Fails: a file that cannot be written is reported once, and the program goes on. Locks: none. */
#ifndef TMI_HEAP_DUMP_H
#define TMI_HEAP_DUMP_H

#include "os/options.h"

/* Once, at the start of a process with options. Keeps stderr, which many programs close before they end. */
void tmi_dump_at_start(void) TMI_COLD;

/* Write the figures now. Async-signal-safe. */
void tmi_dump_now(void) TMI_COLD;

/* Append a line to the file, or to stderr. */
void tmi_dump_line(const char *line, size_t nbytes) TMI_COLD;

/* The name of a file as an option gives it, with %p replaced, and a suffix, in TMI_DUMP_NAME bytes. */
enum { TMI_DUMP_NAME = TMI_PATH_MAX + 64 };
void tmi_dump_name(char *out, const char *pattern, const char *suffix) TMI_COLD;

/* One thread of a process writes at a time: *writer is the number of the process while one does, else 0. In a child of
 * fork a thread of the parent may seem to be at it. False: somebody is. */
bool tmi_dump_begin(uint32_t *writer) TMI_COLD;
void tmi_dump_end(uint32_t *writer) TMI_COLD;

#endif
