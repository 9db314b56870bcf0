/* wire.h - a connection to a server that speaks RESP2, a histogram of times, and what /proc says about a process.
 *
 * Requests are put into a buffer and counted; wire_finish sends them and reads as many replies. What replies say is not
 * looked at, but errors are counted. A connection that fails ends the program: there is nothing to measure. */
#ifndef KVLOAD_WIRE_H
#define KVLOAD_WIRE_H

#include <stddef.h>
#include <stdint.h>

struct word {
    const char *bytes;
    size_t len;
};

struct wire {
    int fd;
    unsigned waiting; /* replies that are still to come */
    char *out;
    size_t out_len, out_room;
    char in[64 * 1024];
    size_t in_at, in_len;
};

/* Buckets of times, each a twentieth wider than the one before: from 1 us on. */
struct histogram {
    uint64_t count, buckets[512];
    double max;
};

extern uint64_t wire_errors;

void wire_open(struct wire *w, int port);
void wire_send(struct wire *w, const struct word *words, unsigned n);
void wire_flush(struct wire *w);

/* Returns the last reply if that is an integer. */
int64_t wire_finish(struct wire *w);

void histogram_add(struct histogram *h, double seconds);
double histogram_at(const struct histogram *h, double part); /* in seconds */

double now_seconds(void);
double cpu_seconds(int pid);
double resident_mib(int pid);

#endif
