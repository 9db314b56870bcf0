#include "table.h"
#include "hash.h"
#include "work.h"

#include <stdlib.h>

enum { MERGES = 5 }; // a removal: more than four, so that buckets keep up with entries when all go

static inline uint64_t reversed(uint64_t x)
{
    x = (x & 0x5555555555555555u) << 1 | (x >> 1 & 0x5555555555555555u);
    x = (x & 0x3333333333333333u) << 2 | (x >> 2 & 0x3333333333333333u);
    x = (x & 0x0f0f0f0f0f0f0f0fu) << 4 | (x >> 4 & 0x0f0f0f0f0f0f0f0fu);
    return __builtin_bswap64(x);
}

/* How many bits of a hash tell bucket numbers below n apart. */
static inline unsigned bits_of(uint32_t n) { return n <= 1 ? 0 : 32 - (unsigned)__builtin_clz(n - 1); }

static inline uint32_t bucket_of(const struct table *t, uint64_t h)
{
    uint32_t mask = (uint32_t)(((uint64_t)1 << bits_of(t->buckets)) - 1), b = (uint32_t)h & mask;
    return b < t->buckets ? b : b & mask >> 1;
}

static inline place *slot(const struct table *t, uint32_t b)
{
    store_ref chunk = b < TABLE_CHUNK ? t->first : t->dir[b / TABLE_CHUNK];
    return (place *)store_at(chunk) + b % TABLE_CHUNK;
}

static bool start(struct table *t)
{
    t->first = store_alloc_zero(TABLE_FIRST * sizeof(store_ref));
    if (t->first == STORE_NONE)
        return false;
    t->chunk_room = TABLE_FIRST;
    t->buckets = 1;
    return true;
}

/* Room for one bucket more, which is empty. */
static bool make_room(struct table *t)
{
    uint32_t b = t->buckets, chunk = b / TABLE_CHUNK;
    if (chunk == 0 && b == t->chunk_room) {
        store_ref grown = store_resize(t->first, 2 * b * sizeof(store_ref));
        if (grown == STORE_NONE)
            return false;
        t->first = grown;
        t->chunk_room = 2 * b;
    } else if (chunk > 0 && b % TABLE_CHUNK == 0) {
        if (chunk >= t->dir_room) {
            store_ref *grown = realloc(t->dir, 2 * chunk * sizeof(store_ref));
            if (grown == NULL)
                return false;
            t->dir = grown;
            t->dir_room = 2 * chunk;
        }
        store_ref more = store_alloc(TABLE_CHUNK * sizeof(store_ref));
        if (more == STORE_NONE)
            return false;
        t->dir[chunk] = more;
    }
    return true;
}

/* Without memory the table stays as it is: fuller, and right. */
static void split(struct table *t)
{
    if (t->buckets == UINT32_MAX || !make_room(t))
        return;
    uint32_t to = t->buckets++, from = to & (((uint32_t)1 << (bits_of(to + 1) - 1)) - 1);
    place *stay = slot(t, from), *go = slot(t, to);
    store_ref r = *stay;
    while (r != STORE_NONE) { // both keep their order
        work_done++;
        struct entry *e = store_at(r);
        place **end = bucket_of(t, hash_bytes(entry_key(e), e->key_len)) == to ? &go : &stay;
        **end = r;
        *end = &e->next;
        r = e->next;
    }
    *stay = STORE_NONE;
    *go = STORE_NONE;
}

static void drop_last_bucket(struct table *t)
{
    uint32_t b = --t->buckets;
    if (b > 0 && b % TABLE_CHUNK == 0)
        store_free(t->dir[b / TABLE_CHUNK]);
}

static void merge(struct table *t)
{
    uint32_t from = t->buckets - 1, to = from & (((uint32_t)1 << (bits_of(from + 1) - 1)) - 1);
    place *end = slot(t, to);
    for (; *end != STORE_NONE; work_done++)
        end = &((struct entry *)store_at(*end))->next;
    *end = *slot(t, from);
    drop_last_bucket(t);
}

/* After a removal. */
static void shrink(struct table *t)
{
    for (int i = 0; i < MERGES && t->buckets > TABLE_FIRST && t->count < t->buckets - t->buckets / 4; i++)
        merge(t);
}

static void account(struct table *t, struct entry *e, int sign)
{
    uint64_t bytes = entry_size(e) + (e->type & ENTRY_OWNS ? entry_owned(e) : 0);
    t->count += (uint64_t)(int64_t)sign;
    t->bytes += (uint64_t)(sign * (int64_t)bytes);
    t->volatiles += (uint64_t)(int64_t)(e->expires ? sign : 0);
}

static void free_entry(store_ref r)
{
    struct entry *e = store_at(r);
    work_done++;
    if (e->type & ENTRY_OWNS)
        entry_disown(e);
    store_free(r);
}

place *table_find(struct table *t, const char *key, size_t len)
{
    struct entry *e;
    return t->count == 0 ? NULL : table_find_hashed(t, hash_bytes(key, len), key, len, &e);
}

place *table_find_hashed(struct table *t, uint64_t hash, const char *key, size_t len, struct entry **e)
{
    if (t->count == 0)
        return NULL;
    place *p = slot(t, bucket_of(t, hash));
    while (*p != STORE_NONE) {
        *e = store_at(*p);
        if ((*e)->key_len == len && memcmp(entry_key(*e), key, len) == 0)
            return p;
        p = &(*e)->next;
    }
    return NULL;
}

place *table_expect_bucket(const struct table *t, uint64_t hash)
{
    if (t->count == 0)
        return NULL;
    place *p = slot(t, bucket_of(t, hash));
    __builtin_prefetch(p);
    return p;
}

void table_expect_entry(const place *bucket)
{
    if (bucket != NULL && *bucket != STORE_NONE)
        __builtin_prefetch(store_at(*bucket));
}

/* The entry at the head of its bucket, where the next look-up will find it first. */
static place *insert(struct table *t, store_ref r)
{
    struct entry *e = store_at(r);
    account(t, e, 1);
    if (t->count > t->buckets)
        split(t);
    place *p = slot(t, bucket_of(t, hash_bytes(entry_key(e), e->key_len)));
    e->next = *p;
    *p = r;
    return p;
}

place *table_add(struct table *t, const char *key, size_t len, size_t value_len, int64_t expiry)
{
    if (t->buckets == 0 && !start(t))
        return NULL;
    store_ref r = store_alloc(entry_bytes(len, value_len, expiry != 0));
    if (r == STORE_NONE)
        return NULL;
    struct entry *e = store_at(r);
    *e = (struct entry){.expires = expiry != 0, .key_len = (uint32_t)len, .value_len = (uint32_t)value_len};
    if (expiry != 0)
        memcpy(e->bytes, &expiry, 8);
    memcpy(entry_key(e), key, len);
    return insert(t, r);
}

struct entry *table_resize(struct table *t, place *p, size_t value_len)
{
    struct entry *e = store_at(*p);
    if (e->value_len == value_len)
        return e;
    store_ref r = store_resize(*p, entry_bytes(e->key_len, value_len, e->expires));
    if (r == STORE_NONE && value_len > e->value_len)
        return NULL;
    if (r != STORE_NONE) // else it keeps bytes that it does not need
        *p = r;
    e = store_at(*p);
    t->bytes -= entry_size(e);
    e->value_len = (uint32_t)value_len;
    t->bytes += entry_size(e);
    return e;
}

struct entry *table_expire(struct table *t, place *p, int64_t expiry)
{
    struct entry *e = store_at(*p);
    size_t payload = (size_t)e->key_len + e->value_len;
    if (expiry != 0 && !e->expires) {
        store_ref r = store_resize(*p, entry_bytes(e->key_len, e->value_len, true));
        if (r == STORE_NONE)
            return NULL;
        *p = r;
        e = store_at(r);
        memmove(e->bytes + 8, e->bytes, payload);
    } else if (expiry == 0 && e->expires) {
        memmove(e->bytes, e->bytes + 8, payload);
        store_ref r = store_resize(*p, entry_bytes(e->key_len, e->value_len, false));
        if (r != STORE_NONE) // else it keeps eight bytes that it does not need
            *p = r;
        e = store_at(*p);
    }
    t->bytes -= entry_size(e);
    t->volatiles -= e->expires;
    e->expires = expiry != 0;
    t->bytes += entry_size(e);
    t->volatiles += e->expires;
    if (expiry != 0)
        memcpy(e->bytes, &expiry, 8);
    return e;
}

void table_remove(struct table *t, place *p)
{
    store_ref r = *p;
    struct entry *e = store_at(r);
    account(t, e, -1);
    *p = e->next;
    free_entry(r);
    shrink(t);
}

bool table_rename(struct table *from, place *p, struct table *to, const char *key, size_t len)
{
    struct entry *e = store_at(*p), *copy;
    store_ref r = store_alloc(entry_bytes(len, e->value_len, e->expires));
    if (r == STORE_NONE || (to->buckets == 0 && !start(to))) {
        store_free(r);
        return false;
    }
    copy = store_at(r);
    *copy = *e;
    copy->key_len = (uint32_t)len;
    memcpy(copy->bytes, e->bytes, e->expires ? 8 : 0);
    memcpy(entry_key(copy), key, len);
    memcpy(entry_value(copy), entry_value(e), e->value_len);
    e->type = ENTRY_STRING; // what it owns is the copy's now
    from->bytes -= copy->type & ENTRY_OWNS ? entry_owned(copy) : 0;
    table_remove(from, p);
    (void)insert(to, r);
    return true;
}

bool table_destroy(struct table *t, size_t most)
{
    for (; t->buckets > 0; drop_last_bucket(t)) {
        place *head = slot(t, t->buckets - 1);
        for (; *head != STORE_NONE; most--) {
            store_ref r = *head;
            if (most == 0)
                return false;
            *head = ((struct entry *)store_at(r))->next;
            free_entry(r);
        }
        work_done++;
        if (most-- == 0)
            return false;
    }
    store_free(t->first);
    free(t->dir);
    *t = (struct table){0};
    return true;
}

place *table_random(struct table *t)
{
    if (t->count == 0)
        return NULL;
    uint32_t b = (uint32_t)(hash_random() % t->buckets);
    work_done++;
    for (int tries = 0; tries < 100 && *slot(t, b) == STORE_NONE; tries++)
        b = (uint32_t)(hash_random() % t->buckets);
    while (*slot(t, b) == STORE_NONE)
        b = b + 1 == t->buckets ? 0 : b + 1;
    place *p = slot(t, b);
    unsigned length = 0;
    for (store_ref r = *p; r != STORE_NONE; r = ((struct entry *)store_at(r))->next)
        length++;
    for (unsigned skip = (unsigned)(hash_random() % length); skip > 0; skip--)
        p = &((struct entry *)store_at(*p))->next;
    return p;
}

/* Where the interval of bucket b ends (T2); 0 after the last. */
static uint64_t end_of(const struct table *t, uint32_t b)
{
    unsigned k = bits_of(t->buckets);
    uint32_t half = k == 0 ? 0 : (uint32_t)1 << (k - 1);
    unsigned used = k > 0 && b < half && b + half >= t->buckets ? k - 1 : k;
    return used == 0 ? 0 : reversed(b) + ((uint64_t)1 << (64 - used));
}

uint64_t table_scan(struct table *t, uint64_t cursor, void (*see)(void *data, struct entry *e), void *data)
{
    if (t->count == 0)
        return 0;
    uint32_t b = bucket_of(t, reversed(cursor));
    work_done++;
    for (store_ref r = *slot(t, b); r != STORE_NONE; work_done++) {
        struct entry *e = store_at(r);
        if (cursor == reversed(b) || reversed(hash_bytes(entry_key(e), e->key_len)) >= cursor)
            see(data, e);
        r = e->next;
    }
    return end_of(t, b);
}

uint64_t table_visit(struct table *t, uint64_t cursor, place_see *see, void *data)
{
    if (t->count == 0)
        return 0;
    uint32_t b = bucket_of(t, reversed(cursor));
    work_done++;
    for (place *p = slot(t, b); *p != STORE_NONE; p = &((struct entry *)store_at(*p))->next, work_done++)
        see(data, p);
    return end_of(t, b);
}

uint64_t table_sweep(struct table *t, uint64_t cursor, bool (*drop)(void *data, struct entry *e), void *data)
{
    if (t->count == 0)
        return 0;
    uint32_t b = bucket_of(t, reversed(cursor));
    uint64_t end = end_of(t, b); // before removals merge buckets
    work_done++;
    for (place *p = slot(t, b); *p != STORE_NONE; work_done++) {
        struct entry *e = store_at(*p);
        if (!drop(data, e)) {
            p = &e->next;
            continue;
        }
        store_ref r = *p;
        account(t, e, -1);
        *p = e->next;
        free_entry(r);
    }
    shrink(t);
    return end;
}
