#include "snapshot_part.h"
#include "snapshot.h"
#include "work.h"

#include <stdlib.h>

enum { MEMBERS = 64, ITEMS = 64, BUCKETS = 64 };

struct part {
    struct part *next;
    store_ref r;
    struct snapshot_record record; /* what is common to the records of its fragments */
    uint64_t cursor;               /* of the walk through the table */
    uint32_t from, to, at;         /* P5 */
    bool is_list;
    char key[];
};

static struct part *parts, **end = &parts;
static bool silent;

static struct part *make(const struct part *like, const char *key, store_ref r)
{
    struct part *p = malloc(sizeof *p + like->record.key_len);
    if (p == NULL)
        return NULL;
    *p = *like;
    memcpy(p->key, key, like->record.key_len);
    p->r = r;
    p->next = NULL;
    *end = p;
    end = &p->next;
    return p;
}

bool snapshot_part_begin(const struct table *db, struct entry *e)
{
    store_ref r;
    struct aggregate *a = aggregate_of(e);
    unsigned kind = e->type & ENTRY_KIND;
    struct part part = {.record = {.kind = (uint8_t)kind, .db = (uint8_t)(db - server.db),
                                   .fragment = SNAPSHOT_FRAGMENT, .key_len = e->key_len, .expiry = entry_expiry(e)},
                        .is_list = kind == ENTRY_LIST};
    memcpy(&r, entry_value(e), sizeof r);
    part.to = part.is_list ? seq_count(&a->seq) : 0;
    silent = false;
    a->part = make(&part, entry_key(e), r);
    if (a->part != NULL)
        a->epoch = !a->epoch;
    return a->part != NULL;
}

static void forget(struct part *p)
{
    ((struct aggregate *)store_at(p->r))->part = NULL;
    parts = p->next;
    end = parts == NULL ? &parts : end;
    free(p);
}

/* ---- fragments ---- */

static void begin_fragment(const struct part *p, uint32_t n, uint32_t index, unsigned fragment)
{
    struct snapshot_record record = p->record;
    record.parts = n;
    record.index = index;
    record.fragment = (uint8_t)fragment;
    work_done++;
    snapshot_put_record(&record, p->key);
}

static void put_member(const struct part *p, struct entry *e)
{
    struct item key = {entry_key(e), e->key_len}, value = {entry_value(e), e->value_len};
    if (p->record.kind == ENTRY_ZSET) {
        snapshot_put_pair(&value, &key);
        return;
    }
    snapshot_put_item(&key);
    if (p->record.kind == ENTRY_HASH)
        snapshot_put_item(&value);
}

static void put_members(const struct part *p, struct entry **e, uint32_t n)
{
    begin_fragment(p, n * (p->record.kind == ENTRY_HASH ? 2 : 1), 0, SNAPSHOT_FRAGMENT);
    for (uint32_t i = 0; i < n; i++)
        put_member(p, e[i]);
    work_done += n;
}

void snapshot_member_slowly(struct aggregate *a, struct entry *e)
{
    e->saved = a->epoch;
    if (!silent)
        put_members(a->part, &e, 1);
}

struct members {
    struct part *part;
    bool epoch;
    uint32_t n;
    struct entry *e[MEMBERS];
};

static void see_member(void *data, struct entry *e)
{
    struct members *m = data;
    if (e->saved == m->epoch)
        return;
    e->saved = m->epoch;
    m->e[m->n++] = e;
    if (m->n == MEMBERS && !silent)
        put_members(m->part, m->e, m->n);
    m->n %= MEMBERS;
}

static bool step_members(struct part *p)
{
    struct aggregate *a = store_at(p->r);
    struct members m = {.part = p, .epoch = a->epoch};
    for (int i = 0; i < BUCKETS; i++) {
        p->cursor = table_scan(&a->table, p->cursor, see_member, &m);
        if (p->cursor == 0)
            break;
    }
    if (m.n > 0 && !silent)
        put_members(p, m.e, m.n);
    return p->cursor != 0;
}

/* ---- lists ---- */

static void see_item(void *unused, const struct item *item)
{
    (void)unused;
    snapshot_put_item(item);
}

/* n items that lie at `at` now and had number `index`. */
static void put_items(const struct part *p, uint32_t at, uint32_t n, uint32_t index, unsigned fragment)
{
    if (n == 0 || silent)
        return;
    begin_fragment(p, n, index, fragment);
    seq_each(&((struct aggregate *)store_at(p->r))->seq, at, n, see_item, NULL);
    work_done += n;
}

static bool step_items(struct part *p)
{
    uint32_t n = p->to - p->from < ITEMS ? p->to - p->from : ITEMS;
    put_items(p, p->at, n, p->from, SNAPSHOT_FRAGMENT);
    p->from += n;
    p->at += n;
    return !silent && p->from < p->to;
}

/* The items of `i` to `i + n` that are still to be written, *lo to *hi, are taken from the part. Returns the number
 * that the first of them had. */
static uint32_t part_with(struct part *p, uint32_t i, uint32_t n, uint32_t *lo, uint32_t *hi)
{
    uint32_t last = p->at + (p->to - p->from), first = p->at, index;
    *lo = i > first ? i : first;
    *hi = i + n < last ? i + n : last;
    if (*hi <= *lo) {
        *hi = *lo;
    } else if (*hi < last && *lo > first) { // P5 says that this is not so
        put_items(p, first, *lo - first, p->from, SNAPSHOT_FRAGMENT);
        p->from += *lo - first;
        first = *lo;
    }
    index = p->from + (*lo - first);
    if (*hi > *lo && *lo == first)
        p->from += *hi - *lo;
    else if (*hi > *lo)
        p->to -= *hi - *lo;
    p->at = i < first ? (i + n < first ? first - n : i) : first; // less what went before it
    return index;
}

void snapshot_list_remove(struct aggregate *a, uint32_t i, uint32_t n)
{
    struct part *p = a->part;
    uint32_t lo, hi, index;
    if (!p->is_list)
        return;
    index = part_with(p, i, n, &lo, &hi);
    put_items(p, lo, hi - lo, index, SNAPSHOT_FRAGMENT);
}

bool snapshot_list_take(struct aggregate *a, uint32_t i, uint32_t n, struct aggregate *other, store_ref r)
{
    struct part *p = a->part;
    uint32_t lo, hi;
    if (!p->is_list)
        return true;
    other->part = make(p, p->key, r);
    if (other->part == NULL)
        return false;
    other->part->from = part_with(p, i, n, &lo, &hi);
    other->part->to = other->part->from + (hi - lo);
    other->part->at = lo - i;
    return true;
}

void snapshot_list_replace(struct aggregate *a, uint32_t i)
{
    struct part *p = a->part;
    if (p->is_list && i >= p->at && i < p->at + (p->to - p->from))
        put_items(p, i, 1, p->from + (i - p->at), SNAPSHOT_PATCH);
}

void snapshot_list_insert(struct aggregate *a, uint32_t i)
{
    if (a->part->is_list)
        a->part->at += i <= a->part->at;
}

/* ---- all of them ---- */

bool snapshot_part_step(void)
{
    struct part *p = parts;
    if (p != NULL && !(p->is_list ? step_items(p) : step_members(p)))
        forget(p);
    return parts != NULL;
}

void snapshot_part_silence(void) { silent = true; }

void snapshot_part_forget(void)
{
    while (parts != NULL)
        forget(parts);
}
