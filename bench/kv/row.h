/* row.h - aggregates by position: the items of a list, and those of a sorted set in their order, small or large.
 *
 * See aggregate.h for what holds, and for how these fail. */
#ifndef KV_ROW_H
#define KV_ROW_H

#include "aggregate.h"

uint32_t row_count(struct entry *e);

/* Item i < count. */
struct item row_get(struct entry *e, uint32_t i);

/* Calls `see` for n items from number `from` on, or from there backwards; all are there. */
void row_each(struct entry *e, uint32_t from, uint32_t n, bool backwards, seq_see *see, void *data);

/* The new item becomes number i <= count. A list that has grown becomes large. */
bool row_insert(struct table *db, place *p, uint32_t i, const char *bytes, size_t len);

/* Item i < count of a list becomes this one. */
bool row_replace(struct table *db, place *p, uint32_t i, const char *bytes, size_t len);

/* Remove n items, all of which are there. */
bool row_remove(struct table *db, place *p, uint32_t i, uint32_t n);

uint32_t row_search(struct entry *e, bool (*before)(const void *data, const struct item *item), const void *data);

/* Make a small one large. The table stays empty. */
bool row_enlarge(struct table *db, place *p);

#endif
