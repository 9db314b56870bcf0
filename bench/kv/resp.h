/* resp.h - the request parser: from bytes to the arguments of one command.
 *
 * Idea: the parser is a function of its state and the bytes received so far; it neither allocates for the bytes nor
 * copies nor changes them. Arguments are slices of the client's buffer. Parsing goes on where it stopped, so a request
 * that arrives a byte at a time costs no more than one that arrives whole, and gives the same result (the fuzzer's
 * property).
 *
 * R1  Until resp_parse returns RESP_DONE, offsets count from the first byte of the request: the buffer may be moved.
 * R2  After RESP_DONE `used` bytes are the request. The caller drops them, then calls resp_next.
 * R3  No length that a client sends is trusted: counts and lengths have limits, and the argument array grows with
 *     arguments that have arrived.
 *
 * Fails: RESP_ERROR, with the text that Redis sends; the caller closes the connection. */
#ifndef KV_RESP_H
#define KV_RESP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RESP_MAX_ARGS = 1024 * 1024,
    RESP_MAX_BULK = 512 * 1024 * 1024, /* bytes */
    RESP_MAX_LINE = 64 * 1024,         /* bytes */
};

struct slice {
    size_t at; /* offset in the buffer */
    size_t len;
};

struct resp {
    struct slice *argv;
    uint32_t argc, room;
    uint32_t left; /* arguments still to come */
    bool in_array, in_bulk;
    size_t pos;     /* parsed up to here */
    size_t scanned; /* no end of line before this offset */
    size_t bulk;    /* length of the argument that is on its way */
    size_t used;
    char error[64];
};

enum resp_status { RESP_MORE, RESP_DONE, RESP_ERROR };

enum resp_status resp_parse(struct resp *r, const char *bytes, size_t len);

/* Forget the request. Keeps the argument array unless it is large. */
void resp_next(struct resp *r);
void resp_free(struct resp *r);

/* The integer that len bytes spell, by Redis' rules: no blanks, no plus, no leading zeroes. */
bool resp_integer(const char *bytes, size_t len, int64_t *out);

#endif
