/* shelf.h - the few medium blocks that a thread keeps when it frees them.
 *
 * Idea: a program that allocates and frees a block of one size again and again takes no lock, and reuses memory that is
 * in the processor's cache. When the shelf is full, its oldest block returns to its slab.
 *
 * F1  No block is on a shelf twice, or while it is live: a second free finds it there.
 * F2  bytes is the sum of the slots, at most TMI_SHELF_BYTES.
 *
 * Owner: its thread. In a child of fork the shelf of another thread is emptied unless the fork interrupted a change. */
#ifndef TMI_THREADS_SHELF_H
#define TMI_THREADS_SHELF_H

#include "base/base.h"

#define TMI_SHELF_BYTES ((size_t)256 << 10)
enum { TMI_SHELF_BLOCKS = 12 };

typedef struct tmi_shelf {
    void *blocks[TMI_SHELF_BLOCKS]; // oldest first
    uint8_t classes[TMI_SHELF_BLOCKS];
    uint8_t count;
    bool busy; // being changed
    size_t bytes;
} tmi_shelf_t;

/* A block of the medium class that the thread freed lately, or NULL. */
void *tmi_shelf_take(tmi_shelf_t *shelf, unsigned cls);

/* Keep a medium block of that class. If it has been freed already, report that in the name of `function` and abort.
 * True: it, or older blocks, returned to their slabs. */
bool tmi_shelf_put(tmi_shelf_t *shelf, void *p, unsigned cls, const char *function);

/* Whether the thread has freed the block and kept it. */
bool tmi_shelf_holds(const tmi_shelf_t *shelf, const void *p);

/* How many blocks of a class the shelf has. Any thread, no lock: the answer is recent. */
size_t tmi_shelf_count(const tmi_shelf_t *shelf, unsigned cls) TMI_COLD;

/* Return all to their slabs. */
void tmi_shelf_flush(tmi_shelf_t *shelf);

#endif
