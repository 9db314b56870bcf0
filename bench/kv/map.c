#include "map.h"
#include "hash.h"
#include "snapshot_part.h"
#include "watch.h"

static bool has_values(const struct entry *e) { return (e->type & ENTRY_KIND) == ENTRY_HASH; }

/* One field and its value, of a sorted set member and score; returns where the next one begins. */
static const char *read_pair(const struct entry *e, const char *p, struct item *field, struct item *value)
{
    p = pack_read(p, field);
    if ((e->type & ENTRY_KIND) == ENTRY_ZSET) {
        *value = (struct item){field->at, sizeof(double)};
        *field = (struct item){field->at + sizeof(double), field->len - sizeof(double)};
        return p;
    }
    *value = (struct item){"", 0};
    return has_values(e) ? pack_read(p, value) : p;
}

/* Where a small one has the field, else NULL. */
static const char *find_small(struct entry *e, const char *name, size_t len, struct item *value)
{
    const char *p = entry_value(e), *end = p + e->value_len;
    struct item field;
    while (p < end) {
        const char *from = p;
        p = read_pair(e, p, &field, value);
        if (field.len == len && memcmp(field.at, name, len) == 0)
            return from;
    }
    return NULL;
}

bool map_find(struct entry *e, const char *field, size_t len, struct item *value)
{
    if (!aggregate_is_large(e))
        return find_small(e, field, len, value) != NULL;
    place *p = table_find(&aggregate_of(e)->table, field, len);
    struct entry *found = p == NULL ? NULL : store_at(*p);
    if (found != NULL)
        *value = (struct item){entry_value(found), found->value_len};
    return found != NULL;
}

static bool add(struct aggregate *a, const struct item *field, const struct item *value)
{
    place *p = table_add(&a->table, field->at, field->len, value->len, 0);
    if (p == NULL)
        return false;
    struct entry *e = store_at(*p);
    e->saved = a->epoch;
    if (value->len > 0)
        memcpy(entry_value(e), value->at, value->len);
    return true;
}

static bool enlarge(struct table *db, place *p)
{
    store_ref r;
    struct entry *e = store_at(*p);
    struct aggregate *a = aggregate_new(&r);
    if (a == NULL)
        return false;
    const char *at = entry_value(e), *end = at + e->value_len;
    bool good = true;
    while (at < end && good) {
        struct item field, value;
        at = read_pair(e, at, &field, &value);
        good = add(a, &field, &value);
    }
    if (good && aggregate_own(db, p, r))
        return true;
    (void)table_destroy(&a->table, SIZE_MAX);
    store_free(r);
    return false;
}

static enum map_put put_large(struct table *db, struct entry *e, const struct item *field, const struct item *value)
{
    struct aggregate *a = aggregate_of(e);
    struct table *t = &a->table;
    uint64_t before = entry_owned(e);
    place *there = table_find(t, field->at, field->len);
    enum map_put done = there == NULL ? MAP_NEW : MAP_OLD;
    if (there == NULL) {
        if (!add(a, field, value))
            done = MAP_NO_MEMORY;
    } else {
        snapshot_member(a, store_at(*there));
        struct entry *f = table_resize(t, there, value->len);
        if (f == NULL)
            done = MAP_NO_MEMORY;
        else if (value->len > 0)
            memcpy(entry_value(f), value->at, value->len);
    }
    aggregate_account(db, e, before);
    return done;
}

enum map_put map_put(struct table *db, place *p, const char *name, size_t len, const char *bytes, size_t value_len)
{
    struct entry *e = store_at(*p);
    struct item field = {name, len}, value = {bytes, value_len}, old;
    if (server.watches > 0 && (has_values(e) || !map_find(e, name, len, &old)))
        watch_touch_entry(db, e);
    if (aggregate_is_large(e))
        return put_large(db, e, &field, &value);
    const char *there = find_small(e, name, len, &old), *base = entry_value(e);
    bool values = has_values(e);
    if (there != NULL && !values)
        return MAP_OLD;
    size_t at = there == NULL ? e->value_len : (size_t)(there - base) + pack_size(len);
    size_t removed = there == NULL ? 0 : pack_size(old.len);
    size_t added = (there == NULL ? pack_size(len) : 0) + (values ? pack_size(value_len) : 0);
    bool many = there == NULL && pack_count(base, base + e->value_len) >= (values ? 2 : 1) * (uint32_t)SMALL_ITEMS;
    if (many || len > SMALL_ITEM || value_len > SMALL_ITEM || e->value_len + added - removed > SMALL_BYTES)
        return enlarge(db, p) ? put_large(db, store_at(*p), &field, &value) : MAP_NO_MEMORY;
    char *to = aggregate_splice(db, p, at, removed, added);
    if (to == NULL)
        return MAP_NO_MEMORY;
    if (there == NULL)
        to = pack_write(to, name, len);
    if (values)
        (void)pack_write(to, bytes, value_len);
    return there == NULL ? MAP_NEW : MAP_OLD;
}

bool map_remove(struct table *db, place *p, const char *field, size_t len)
{
    struct entry *e = store_at(*p);
    struct item value;
    if (aggregate_is_large(e)) {
        struct aggregate *a = aggregate_of(e);
        uint64_t before = entry_owned(e);
        place *there = table_find(&a->table, field, len);
        if (there != NULL) {
            watch_touch_entry(db, e);
            snapshot_member(a, store_at(*there));
            table_remove(&a->table, there);
        }
        aggregate_account(db, e, before);
        return there != NULL;
    }
    const char *there = find_small(e, field, len, &value);
    if (there != NULL) {
        watch_touch_entry(db, e);
        size_t size = pack_size(len) + (has_values(e) ? pack_size(value.len) : 0);
        (void)aggregate_splice(db, p, (size_t)(there - entry_value(e)), size, 0);
    }
    return there != NULL;
}

struct pass {
    map_see *see;
    void *data;
};

static void see_entry(void *data, struct entry *e)
{
    struct pass *pass = data;
    struct item field = {entry_key(e), e->key_len}, value = {entry_value(e), e->value_len};
    pass->see(pass->data, &field, &value);
}

uint64_t map_scan(struct entry *e, uint64_t cursor, map_see *see, void *data)
{
    struct pass pass = {see, data};
    if (aggregate_is_large(e))
        return table_scan(&aggregate_of(e)->table, cursor, see_entry, &pass);
    const char *p = entry_value(e), *end = p + e->value_len;
    while (p < end) {
        struct item field, value;
        p = read_pair(e, p, &field, &value);
        see(data, &field, &value);
    }
    return 0;
}

void map_each(struct entry *e, map_see *see, void *data)
{
    uint64_t cursor = 0;
    do
        cursor = map_scan(e, cursor, see, data);
    while (cursor != 0);
}

void map_random(struct entry *e, struct item *field, struct item *value)
{
    if (aggregate_is_large(e)) {
        struct entry *f = store_at(*table_random(&aggregate_of(e)->table));
        *field = (struct item){entry_key(f), f->key_len};
        *value = (struct item){entry_value(f), f->value_len};
        return;
    }
    const char *p = entry_value(e);
    for (uint64_t skip = hash_random() % aggregate_count(e) + 1; skip > 0; skip--)
        p = read_pair(e, p, field, value);
}
