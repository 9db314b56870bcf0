/* map.h - aggregates by name: the fields of a hash and the members of a set (whose values are empty), small or large.
 *
 * See aggregate.h for what holds. */
#ifndef KV_MAP_H
#define KV_MAP_H

#include "aggregate.h"

enum map_put { MAP_NO_MEMORY, MAP_OLD, MAP_NEW };

/* What is found lies in the store: it holds until the next change. */
bool map_find(struct entry *e, const char *field, size_t len, struct item *value);

enum map_put map_put(struct table *db, place *p, const char *field, size_t len, const char *value, size_t value_len);

/* True if it was there. */
bool map_remove(struct table *db, place *p, const char *field, size_t len);

typedef void map_see(void *data, const struct item *field, const struct item *value);

/* What lies at a cursor, as table_scan, of a sorted set too (the value is the score's bytes): a small one has all at 0.
 * Returns the next cursor, 0 after the last. */
uint64_t map_scan(struct entry *e, uint64_t cursor, map_see *see, void *data);
void map_each(struct entry *e, map_see *see, void *data);

/* One at random, of at least one. */
void map_random(struct entry *e, struct item *field, struct item *value);

#endif
