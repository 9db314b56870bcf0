/* seq.h - a long sequence of byte strings: packs in blocks of about SEQ_BLOCK bytes, the blocks in a treap by position.
 *
 * Idea: every block counts the items below it, so item number i is found in logarithmic time, and an insertion or a
 * removal moves at most a block's bytes. Priorities are random, so the depth is logarithmic whatever clients do.
 *
 *            [block: items 40..79]           links are references of the store: 4 bytes on handles
 *             /                \
 *    [block: 0..39]      [block: 80..99]
 *
 * S1  items = own + items of both subtrees; own >= 1.
 * S2  The priority of a block is not below its children's.
 * S3  bytes = the block's size + bytes of both subtrees.
 *
 * A seq of zeroes is empty. One thread; within a batch of the store. Failure: false, and the sequence is as it was. */
#ifndef KV_SEQ_H
#define KV_SEQ_H

#include "pack.h"
#include "store.h"

enum { SEQ_BLOCK = 1024 };

struct seq {
    store_ref root;
};

uint32_t seq_count(const struct seq *s);

/* The size of all blocks. */
uint64_t seq_bytes(const struct seq *s);

/* Item i < count. Returns how many items of its block follow it; they lie at item->at + item->len. */
uint32_t seq_get(const struct seq *s, uint32_t i, struct item *item);

/* Calls `see` for n items from number `from` on; all are there. */
typedef void seq_see(void *data, const struct item *item);
void seq_each(const struct seq *s, uint32_t from, uint32_t n, seq_see *see, void *data);

/* The new item becomes item number i <= count. */
bool seq_insert(struct seq *s, uint32_t i, const char *bytes, size_t len);

/* Fill an empty sequence with a whole pack. */
bool seq_fill(struct seq *s, const char *pack, size_t len);

void seq_remove(struct seq *s, uint32_t i);

/* Take items i to i + n out into an empty sequence. */
bool seq_take(struct seq *s, uint32_t i, uint32_t n, struct seq *out);

/* How many items lie before what `data` says, in a sequence that is ordered by it. */
uint32_t seq_search(const struct seq *s, bool (*before)(const void *data, const struct item *item), const void *data);

/* Free up to `most` blocks. True when nothing is left. */
bool seq_destroy(struct seq *s, size_t most);

#endif
