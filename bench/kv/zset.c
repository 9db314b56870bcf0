#include "zset.h"
#include "snapshot_part.h"

#include <stdlib.h>

struct key {
    double score;
    struct item member;
};

/* Below, at or above 0 as the item's member is before, at or behind this one. */
static int order_of(const struct item *item, const struct item *b)
{
    struct item a = zset_item_member(item);
    int order = memcmp(a.at, b->at, a.len < b->len ? a.len : b->len);
    return order != 0 ? order : (a.len > b->len) - (a.len < b->len);
}

static bool before_key(const void *data, const struct item *item)
{
    const struct key *key = data;
    double score = zset_item_score(item);
    return score != key->score ? score < key->score : order_of(item, &key->member) < 0;
}

static bool before_member(const void *member, const struct item *item) { return order_of(item, member) < 0; }
static bool upto_member(const void *member, const struct item *item) { return order_of(item, member) <= 0; }

uint32_t zset_before(struct entry *e, const struct item *member, bool or_equal)
{
    return row_search(e, or_equal ? upto_member : before_member, member);
}

static bool below(const void *score, const struct item *item) { return zset_item_score(item) < *(const double *)score; }
static bool upto(const void *score, const struct item *item) { return zset_item_score(item) <= *(const double *)score; }

uint32_t zset_below(struct entry *e, double score, bool or_equal)
{
    return row_search(e, or_equal ? upto : below, &score);
}

uint32_t zset_rank(struct entry *e, const struct item *member, double score)
{
    struct key key = {score, *member};
    return row_search(e, before_key, &key);
}

bool zset_find(struct entry *e, const struct item *member, double *score)
{
    if (aggregate_is_large(e)) {
        place *p = table_find(&aggregate_of(e)->table, member->at, member->len);
        if (p != NULL)
            memcpy(score, entry_value(store_at(*p)), sizeof *score);
        return p != NULL;
    }
    const char *p = entry_value(e), *end = p + e->value_len;
    while (p < end) {
        struct item item, is;
        p = pack_read(p, &item);
        is = zset_item_member(&item);
        if (is.len == member->len && memcmp(is.at, member->at, is.len) == 0) {
            *score = zset_item_score(&item);
            return true;
        }
    }
    return false;
}

static bool table_put(struct table *t, const struct item *member, double score, bool epoch)
{
    place *p = table_find(t, member->at, member->len);
    if (p == NULL && (p = table_add(t, member->at, member->len, sizeof score, 0)) != NULL)
        ((struct entry *)store_at(*p))->saved = epoch;
    if (p != NULL)
        memcpy(entry_value(store_at(*p)), &score, sizeof score);
    return p != NULL;
}

/* A member of a large one, before its score changes or it goes. */
static void keep(struct aggregate *a, const struct item *member)
{
    place *p = a->part == NULL ? NULL : table_find(&a->table, member->at, member->len);
    if (p != NULL)
        snapshot_member(a, store_at(*p));
}

/* A small one that has grown: the table is filled first, because the object then takes the pack's place. */
static bool enlarge(struct table *db, place *p)
{
    struct entry *e = store_at(*p);
    struct table members = {0};
    const char *at = entry_value(e), *end = at + e->value_len;
    bool good = true;
    while (at < end && good) {
        struct item item, member;
        at = pack_read(at, &item);
        member = zset_item_member(&item);
        good = table_put(&members, &member, zset_item_score(&item), false);
    }
    if (good && row_enlarge(db, p)) {
        uint64_t before = entry_owned(store_at(*p));
        aggregate_of(store_at(*p))->table = members;
        aggregate_account(db, store_at(*p), before);
        return true;
    }
    (void)table_destroy(&members, SIZE_MAX);
    return false;
}

/* Into the row alone. */
static bool insert(struct table *db, place *p, const struct item *member, double score)
{
    char few[256], *item = member->len + sizeof score <= sizeof few ? few : malloc(member->len + sizeof score);
    if (item == NULL)
        return false;
    memcpy(item, &score, sizeof score);
    memcpy(item + sizeof score, member->at, member->len);
    bool good = row_insert(db, p, zset_rank(store_at(*p), member, score), item, member->len + sizeof score);
    if (item != few)
        free(item);
    return good;
}

bool zset_add(struct table *db, place *p, const struct item *member, double score)
{
    struct entry *e = store_at(*p);
    if (!aggregate_is_large(e)) {
        if (e->value_len + pack_size(member->len + sizeof score) <= SMALL_BYTES && member->len <= SMALL_ITEM &&
            aggregate_count(e) < SMALL_ITEMS)
            return insert(db, p, member, score);
        if (!enlarge(db, p))
            return false;
        e = store_at(*p);
    }
    struct table *t = &aggregate_of(e)->table;
    uint64_t before = t->bytes + t->buckets * sizeof(store_ref);
    bool good = table_put(t, member, score, aggregate_of(e)->epoch);
    db->bytes += t->bytes + t->buckets * sizeof(store_ref) - before;
    if (good && !insert(db, p, member, score)) {
        before = entry_owned(e);
        table_remove(t, table_find(t, member->at, member->len));
        aggregate_account(db, e, before);
        good = false;
    }
    return good;
}

bool zset_move(struct table *db, place *p, const struct item *member, double from, double to)
{
    if (from == to)
        return true;
    if (!aggregate_is_large(store_at(*p)) &&
        ((struct entry *)store_at(*p))->value_len + pack_size(member->len + sizeof to) > SMALL_BYTES && !enlarge(db, p))
        return false;
    if (!insert(db, p, member, to))
        return false;
    (void)row_remove(db, p, zset_rank(store_at(*p), member, from), 1); // one item: does not fail
    if (aggregate_is_large(store_at(*p))) {
        keep(aggregate_of(store_at(*p)), member);
        (void)table_put(&aggregate_of(store_at(*p))->table, member, to, false); // it is there
    }
    return true;
}

void zset_remove(struct table *db, place *p, const struct item *member, double score)
{
    struct entry *e = store_at(*p);
    (void)row_remove(db, p, zset_rank(e, member, score), 1);
    e = store_at(*p);
    if (!aggregate_is_large(e))
        return;
    uint64_t before = entry_owned(e);
    struct table *t = &aggregate_of(e)->table;
    keep(aggregate_of(e), member);
    table_remove(t, table_find(t, member->at, member->len));
    aggregate_account(db, e, before);
}
