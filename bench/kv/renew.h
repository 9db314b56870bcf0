/* renew.h - other handles for the same entries, so that the table of handles follows the data when keys become fewer.
 *
 * Idea: a handle's word stays where it is as long as the handle lives, and a page of words goes back to the kernel only
 * when all its words are free. Of a cache that had six times as many keys nearly every page keeps a few. This server
 * knows all its references: it copies entries whose handles lie on sparse pages, and frees the originals. The library
 * hands out words of the fullest pages first, so the sparse ones become empty.
 *
 *   IDLE ─(twice a second: the words are a quarter more than needed)→ COUNT ─(walk: live words a page)→
 *   MOVE ─(walk: copy what lies on pages with fewer than `sparse`)→ IDLE
 *
 * W1  Originals are freed RENEW_HELD at a time: the library hands words out again that were freed a moment ago.
 * W2  A step takes a fifth of a millisecond, in pieces of RENEW_BUCKETS buckets at most, or as many originals freed.
 *
 * kv-malloc has nothing to renew. Members of large aggregates keep their handles. One thread; within a batch of the
 * store. Fails: without memory a walk ends early. */
#ifndef KV_RENEW_H
#define KV_RENEW_H

#include <stdbool.h>

enum { RENEW_HELD = 2048, RENEW_BUCKETS = 32 };

/* Before the first other use of the store. */
void renew_prepare(void);

/* One bounded piece of work. True: more is waiting. */
bool renew_step(void);

/* Walks so far, for INFO. */
unsigned long long renew_walks(void);

/* Free the originals that are held, at the end of the program. */
void renew_end(void);

#endif
