#include "row.h"
#include "snapshot.h"
#include "snapshot_part.h"
#include "watch.h"
#include "work.h"

enum { ONE_BY_ONE = 32 };

uint32_t row_count(struct entry *e)
{
    return aggregate_is_large(e) ? seq_count(&aggregate_of(e)->seq)
                                 : pack_count(entry_value(e), entry_value(e) + e->value_len);
}

struct item row_get(struct entry *e, uint32_t i)
{
    struct item item;
    if (aggregate_is_large(e))
        (void)seq_get(&aggregate_of(e)->seq, i, &item);
    else
        (void)pack_read(pack_skip(entry_value(e), i), &item);
    return item;
}

void row_each(struct entry *e, uint32_t from, uint32_t n, bool backwards, seq_see *see, void *data)
{
    struct item item;
    work_done += n;
    if (aggregate_is_large(e) && !backwards) {
        seq_each(&aggregate_of(e)->seq, from, n, see, data);
        return;
    }
    for (; n > 0; n--) {
        item = row_get(e, backwards ? from-- : from++);
        see(data, &item);
    }
}

bool row_enlarge(struct table *db, place *p)
{
    store_ref r;
    struct entry *e = store_at(*p);
    struct aggregate *a = aggregate_new(&r);
    if (a == NULL)
        return false;
    if (seq_fill(&a->seq, entry_value(e), e->value_len) && aggregate_own(db, p, r))
        return true;
    (void)seq_destroy(&a->seq, SIZE_MAX);
    store_free(r);
    return false;
}

bool row_insert(struct table *db, place *p, uint32_t i, const char *bytes, size_t len)
{
    struct entry *e = store_at(*p);
    size_t size = pack_size(len);
    watch_touch_entry(db, e);
    if (!aggregate_is_large(e) && e->value_len + size <= SMALL_BYTES) {
        char *value = entry_value(e);
        char *to = aggregate_splice(db, p, (size_t)(pack_skip(value, i) - value), 0, size);
        if (to != NULL)
            (void)pack_write(to, bytes, len);
        return to != NULL;
    }
    if (!aggregate_is_large(e)) {
        if (!row_enlarge(db, p))
            return false;
        e = store_at(*p);
    }
    struct aggregate *a = aggregate_of(e);
    uint64_t before = entry_owned(e);
    bool good = seq_insert(&a->seq, i, bytes, len);
    aggregate_account(db, e, before);
    if (good && a->part != NULL)
        snapshot_list_insert(a, i);
    return good;
}

bool row_replace(struct table *db, place *p, uint32_t i, const char *bytes, size_t len)
{
    struct entry *e = store_at(*p);
    if (!aggregate_is_large(e))
        return row_insert(db, p, i, bytes, len) && row_remove(db, p, i + 1, 1);
    watch_touch_entry(db, e);
    struct aggregate *a = aggregate_of(e);
    uint64_t before = entry_owned(e);
    if (a->part != NULL)
        snapshot_list_replace(a, i);
    bool good = seq_insert(&a->seq, i, bytes, len);
    if (good)
        seq_remove(&a->seq, i + 1);
    aggregate_account(db, e, before);
    return good;
}

/* Many items of a large one: out in one piece, and freed later. */
static bool take(struct aggregate *a, uint32_t i, uint32_t n)
{
    store_ref r;
    struct aggregate *other = aggregate_new(&r);
    if (other == NULL)
        return false;
    bool good = seq_take(&a->seq, i, n, &other->seq);
    if (good && a->part != NULL && !snapshot_list_take(a, i, n, other, r))
        snapshot_fail();
    aggregate_leave(r);
    return good;
}

bool row_remove(struct table *db, place *p, uint32_t i, uint32_t n)
{
    struct entry *e = store_at(*p);
    if (n == 0)
        return true;
    watch_touch_entry(db, e);
    if (!aggregate_is_large(e)) {
        const char *from = pack_skip(entry_value(e), i), *to = pack_skip(from, n);
        return aggregate_splice(db, p, (size_t)(from - entry_value(e)), (size_t)(to - from), 0) != NULL;
    }
    struct aggregate *a = aggregate_of(e);
    uint64_t before = entry_owned(e);
    if (n <= ONE_BY_ONE && a->part != NULL)
        snapshot_list_remove(a, i, n);
    bool good = n <= ONE_BY_ONE || take(a, i, n);
    for (uint32_t k = 0; n <= ONE_BY_ONE && k < n; k++)
        seq_remove(&a->seq, i);
    aggregate_account(db, e, before);
    return good;
}

uint32_t row_search(struct entry *e, bool (*before)(const void *data, const struct item *item), const void *data)
{
    if (aggregate_is_large(e))
        return seq_search(&aggregate_of(e)->seq, before, data);
    const char *p = entry_value(e), *end = p + e->value_len;
    struct item item;
    uint32_t n = 0;
    for (; p < end; n++) {
        p = pack_read(p, &item);
        if (!before(data, &item))
            break;
    }
    return n;
}
