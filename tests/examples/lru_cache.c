/* lru_cache.c - a cache that drops what was not used for longest, bounded in bytes.
 *
 *     cc -O2 lru_cache.c -ltinymem && ./a.out [ENTRIES]
 *
 * Each entry is one object: key, value, and the handles of its neighbours in two lists, by age and by bucket. When the
 * limit falls, three quarters of the entries go, from all over the heap. malloc's memory would stay full of holes. Here
 * the entries that remain move together, and the rest goes back to the kernel.
 *
 * An address from tm_deref holds until the end of the scope. No function keeps one, and none frees an entry inside a
 * scope: an entry is taken out of its lists first. */
#include "memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct entry {
    tm_handle_t newer, older; /* by last use */
    tm_handle_t next;         /* in the bucket */
    uint64_t key;
    uint32_t size;
    char value[];
} entry_t;

typedef struct cache {
    tm_handle_t *buckets;
    size_t nbuckets; /* a power of two */
    tm_handle_t newest, oldest;
    size_t bytes, limit, entries;
} cache_t;

/* Only inside a scope. */
static entry_t *at(tm_handle_t h) { return tm_deref(h); }

static uint64_t mixed(uint64_t x)
{
    x = (x ^ x >> 31) * 0x9e3779b97f4a7c15;
    return x ^ x >> 29;
}

static tm_handle_t *bucket_of(cache_t *c, uint64_t key) { return &c->buckets[mixed(key) & (c->nbuckets - 1)]; }

/* The place that holds the entry's handle, or TM_NULL at the end of its bucket. Inside a scope. */
static tm_handle_t *find(cache_t *c, uint64_t key)
{
    tm_handle_t *place = bucket_of(c, key);
    while (*place != TM_NULL && at(*place)->key != key)
        place = &at(*place)->next;
    return place;
}

/* Takes an entry out of the list by age. Inside a scope. */
static void leave_ages(cache_t *c, const entry_t *e)
{
    *(e->newer == TM_NULL ? &c->newest : &at(e->newer)->older) = e->older;
    *(e->older == TM_NULL ? &c->oldest : &at(e->older)->newer) = e->newer;
}

/* Makes an entry the newest. Inside a scope. */
static void enter_ages(cache_t *c, tm_handle_t h)
{
    entry_t *e = at(h);
    e->newer = TM_NULL;
    e->older = c->newest;
    *(c->newest == TM_NULL ? &c->oldest : &at(c->newest)->newer) = h;
    c->newest = h;
}

static void cache_remove(cache_t *c, uint64_t key)
{
    tm_scope_enter();
    tm_handle_t *place = find(c, key), h = *place;
    if (h != TM_NULL) {
        entry_t *e = at(h);
        *place = e->next;
        leave_ages(c, e);
        c->bytes -= e->size;
        c->entries--;
    }
    tm_scope_exit();
    tm_free(h);
}

static void evict_down_to(cache_t *c, size_t limit)
{
    while (c->bytes > limit) {
        uint64_t key = 0;
        TM_PINNED(entry_t, e, c->oldest)
        {
            key = e->key;
        }
        cache_remove(c, key);
    }
}

/* Stores a copy. False: the value is larger than the cache, or there is no memory. */
static bool cache_put(cache_t *c, uint64_t key, const void *value, uint32_t size)
{
    cache_remove(c, key);
    if (size > c->limit)
        return false;
    evict_down_to(c, c->limit - size);
    tm_handle_t h = tm_alloc(sizeof(entry_t) + size);
    if (h == TM_NULL)
        return false;
    tm_scope_enter();
    entry_t *e = at(h);
    e->key = key;
    e->size = size;
    memcpy(e->value, value, size);
    e->next = *bucket_of(c, key);
    *bucket_of(c, key) = h;
    enter_ages(c, h);
    tm_scope_exit();
    c->bytes += size;
    c->entries++;
    return true;
}

/* Copies the value of `key` to `out`, at most `room` bytes, and makes the entry the newest. Returns the value's size, 0
 * when there is none. */
static uint32_t cache_get(cache_t *c, uint64_t key, void *out, uint32_t room)
{
    uint32_t size = 0;
    tm_scope_enter();
    tm_handle_t h = *find(c, key);
    if (h != TM_NULL) {
        entry_t *e = at(h);
        size = e->size;
        memcpy(out, e->value, size < room ? size : room);
        leave_ages(c, e);
        enter_ages(c, h);
    }
    tm_scope_exit();
    return size;
}

/* ---- the example's data: what a value holds follows from its key ------------------------------------------------- */

enum { LARGEST = 400 };

static uint32_t make_value(uint64_t key, char *value)
{
    uint32_t size = 20 + (uint32_t)(mixed(key + 7) % (LARGEST - 20));
    memset(value, (int)(key & 0xff), size);
    return size;
}

static bool value_is_right(cache_t *c, uint64_t key)
{
    char got[LARGEST], wanted[LARGEST];
    uint32_t size = cache_get(c, key, got, sizeof got);
    return size == make_value(key, wanted) && memcmp(got, wanted, size) == 0;
}

int main(int argc, char **argv)
{
    size_t n = argc > 1 ? strtoul(argv[1], NULL, 0) : 200000, found = 0, wrong = 0;
    cache_t c = {.nbuckets = 1 << 18, .limit = SIZE_MAX};
    c.buckets = calloc(c.nbuckets, sizeof *c.buckets);
    char value[LARGEST];
    for (uint64_t key = 0; c.buckets != NULL && key < n; key++)
        if (!cache_put(&c, key, value, make_value(key, value)))
            wrong++;
    for (size_t i = 0; n > 0 && i < n; i++) /* in no order, so that the old entries lie all over the heap */
        wrong += !value_is_right(&c, mixed(i) % n);
    printf("%zu entries, %zu KiB of values\n", c.entries, c.bytes / 1024);

    c.limit = c.bytes / 4;
    evict_down_to(&c, c.limit);
    printf("%zu entries after the limit fell, %zu KiB of values\n", c.entries, c.bytes / 1024);
    compact_and_print();

    size_t left = c.entries;
    for (uint64_t key = 0; key < n; key++) {
        tm_scope_enter();
        bool there = *find(&c, key) != TM_NULL;
        tm_scope_exit();
        found += there;
        wrong += there && !value_is_right(&c, key);
    }
    evict_down_to(&c, 0);
    printf("%zu of them found, %zu wrong, %zu left at the end\n", found, wrong, c.entries);
    free(c.buckets);
    return wrong != 0 || found != left || c.entries != 0;
}
