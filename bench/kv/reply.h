/* reply.h - the output buffer of a client, and replies in RESP2 or RESP3.
 *
 * Values are copied once, from the store to here. What has been sent is dropped from the front when all is sent, or
 * half. Long replies are made elsewhere and appended in pieces.
 * Fails: without memory, or over the limit, `broken` is set, further replies are dropped, and the connection is
 * closed. */
#ifndef KV_REPLY_H
#define KV_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REPLY_LIMIT = 1024 * 1024 * 1024 }; /* bytes that one client may have waiting; twice the largest value */

/* A part of a long reply that is sent after `bytes`, and freed when it is sent. */
struct reply_piece {
    struct reply_piece *next;
    char *bytes;
    size_t len;
};

struct reply {
    char *bytes;
    size_t len, room;
    size_t sent; /* of what reply_next says */
    size_t cut;  /* bytes that have become pieces */
    struct reply_piece *pieces; /* while there are any nothing is added to bytes */
    bool resp3, broken, silent; /* silent: nothing is added */
};

void reply_raw(struct reply *o, const void *bytes, size_t len);
void reply_status(struct reply *o, const char *text);
void reply_error(struct reply *o, const char *format, ...) __attribute__((format(printf, 2, 3)));
void reply_integer(struct reply *o, int64_t value);
void reply_bulk(struct reply *o, const void *bytes, size_t len);
void reply_text(struct reply *o, const char *text); /* a bulk */
void reply_double(struct reply *o, double value);
void reply_null(struct reply *o);
void reply_null_array(struct reply *o);
void reply_array(struct reply *o, size_t n);
void reply_map(struct reply *o, size_t pairs);
void reply_set(struct reply *o, size_t n);
void reply_free(struct reply *o);

/* What is in the buffer becomes a piece, and the buffer is empty. NULL: it was, or there is no memory, which breaks it.
 */
struct reply_piece *reply_cut(struct reply *o);

/* Pieces that are sent after all that has been replied so far. */
void reply_append(struct reply *o, struct reply_piece *pieces);
void reply_free_pieces(struct reply_piece *pieces);

/* What is to be sent next; false: nothing is. */
bool reply_next(const struct reply *o, const char **bytes, size_t *len);

/* Record that this number of its bytes has been sent. */
void reply_sent(struct reply *o, size_t n);

#endif
