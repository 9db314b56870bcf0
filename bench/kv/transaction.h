/* transaction.h - MULTI: commands that are kept until EXEC, which runs them one after the other in one batch.
 *
 * The commands are copied as they are parsed: for each the number of arguments, then the arguments as a pack's items.
 * Commands that do not exist, or do not fit, spoil the transaction, as in Redis. EXEC does nothing if
 * a key that the client watches (watch.h) has changed. */
#ifndef KV_TRANSACTION_H
#define KV_TRANSACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct call;
struct session;

struct transaction {
    char *bytes;
    size_t len, room;
    uint32_t count;
    bool open, spoilt;
};

/* Keep a command of an open transaction. True, and QUEUED is replied, if the command is not to be run now. */
bool transaction_keeps(const struct call *c);

void transaction_free(struct transaction *t);

/* What DISCARD does: nothing is kept and nothing is watched any more. */
void transaction_discard(struct session *s);

#endif
