/* zset.h - sorted sets, small or large: from a member to its score, and from a place in the order to both.
 *
 * The order is by score, then by bytes. An item of the row is the score (8 bytes), then the member.
 * See aggregate.h for what holds, and for how these fail. */
#ifndef KV_ZSET_H
#define KV_ZSET_H

#include "row.h"

static inline double zset_item_score(const struct item *item)
{
    double score;
    memcpy(&score, item->at, sizeof score);
    return score;
}

static inline struct item zset_item_member(const struct item *item)
{
    return (struct item){item->at + sizeof(double), item->len - sizeof(double)};
}

bool zset_find(struct entry *e, const struct item *member, double *score);

/* Add one that is not there, give one that is there another score, remove one that is there. */
bool zset_add(struct table *db, place *p, const struct item *member, double score);
bool zset_move(struct table *db, place *p, const struct item *member, double from, double to);
void zset_remove(struct table *db, place *p, const struct item *member, double score);

uint32_t zset_rank(struct entry *e, const struct item *member, double score);

/* Of members that all have one score: how many come before this one, or, with `or_equal`, up to it. */
uint32_t zset_before(struct entry *e, const struct item *member, bool or_equal);

/* How many have a score below this one, or, with `or_equal`, at most this one. */
uint32_t zset_below(struct entry *e, double score, bool or_equal);

#endif
