/* evict.h - what leaves by itself: keys whose time is over, keys that must make room, and what was flushed.
 *
 * An entry's clock of 24 bits is the second of its last use or, under allkeys-lfu, 16 bits of minutes and a
 * logarithmic counter of 8 that decays, as Redis counts. Eviction looks at `samples` random keys and removes the best
 * of them, until the data fits. Expiry goes round the tables a few buckets at a time, and flushed tables are freed in
 * pieces: evict_step takes at most a quarter of a millisecond and looks at 8,192 entries and buckets or a piece more,
 * and no command pays for more than EVICT_MOST evictions. */
#ifndef KV_EVICT_H
#define KV_EVICT_H

#include "server.h"

enum { EVICT_MOST = 64 };

/* A new key's clock (it is younger than a snapshot that is being written), and a use of a key. */
void evict_born(struct entry *e);
void evict_touch(struct entry *e);

/* Make room before a command that may need memory. False: it does not fit and nothing may be evicted. */
bool evict_for_command(void);

/* Take the tables of a database over, to free them in steps. */
bool evict_discard(struct table *t);

/* One bounded piece of work. True: more is waiting. */
bool evict_step(void);

/* How many tables are to be freed. */
unsigned evict_waiting(void);

/* Free all data at the end of the program: for those who look for leaks. */
void evict_everything(void);

#endif
