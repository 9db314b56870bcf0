/* trace.h - what a program had live, and when.
 *
 * A trace is text: a line a moment, "MS LIVE0 ... LIVE7", milliseconds since the start and the live bytes of eight
 * classes of size. Class 0 holds blocks of up to 64 bytes, each further one blocks four times as large, the last all
 * above 256 KiB. A moment in which nothing has changed says that the program ran: it has called malloc or free. */
#ifndef BENCH_REPLAY_TRACE_H
#define BENCH_REPLAY_TRACE_H

#include <stddef.h>
#include <stdint.h>

enum { CLASSES = 8, SPANS = CLASSES - 1, GRANULE = 64 << 10 };

typedef struct {
    uint32_t ms;
    size_t live[CLASSES];
} moment_t;

typedef struct {
    moment_t *at;
    size_t n; // at least 1
} trace_t;

/* A trace made by the formula of this name, or else read from the file. Ends the program with a line on stderr if there
 * is neither, or if a line of the file is bad. */
trace_t trace_get(const char *name_or_path);

#endif
