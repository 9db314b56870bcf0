/* page_cache.c - the page cache of SQLite in handles: after a large query its memory goes back.
 *
 *     cc -O2 page_cache.c -lsqlite3 -ltinymem && ./a.out [ROWS]
 *
 * SQLite lets a program bring its own page cache (sqlite3_pcache_methods2). It fetches a page, uses the buffer, and
 * unpins the page: these are tm_pin and tm_unpin. Between the two the buffer stays where it is. At other times it may
 * move, and while the cache shrinks the pages that stay move together.
 *
 * SQLite keeps a header of its own for each page in the extra bytes that it asks for, and that header has addresses.
 * Its first word says whether it has been set up. So when a page has moved since it was unpinned, that word is cleared,
 * and SQLite sets the header up again, as for a page that has just been read. */
#define _GNU_SOURCE
#include "memory.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct page {
    sqlite3_pcache_page shown;  /* what SQLite has of it, first */
    struct page *next;          /* in the bucket */
    struct page *newer, *older; /* among unpinned pages, by last use */
    tm_handle_t data;           /* content, then extra bytes */
    void *was;                  /* where they were when the page was unpinned */
    unsigned key;
} page_t;

typedef struct cache {
    size_t page_bytes, extra_bytes;
    bool purgeable;
    unsigned limit, npages;
    page_t unpinned; /* of the ring: its newer is the oldest page, its older the newest */
    page_t **buckets;
    unsigned nbuckets; /* a power of two */
} cache_t;

static page_t **place_of(cache_t *c, unsigned key)
{
    page_t **place = &c->buckets[key & (c->nbuckets - 1)];
    while (*place != NULL && (*place)->key != key)
        place = &(*place)->next;
    return place;
}

static void leave_ring(page_t *p)
{
    p->newer->older = p->older;
    p->older->newer = p->newer;
    p->newer = p->older = NULL;
}

static void enter_ring(cache_t *c, page_t *p)
{
    p->newer = &c->unpinned;
    p->older = c->unpinned.older;
    p->older->newer = p;
    c->unpinned.older = p;
}

static bool is_pinned(const page_t *p) { return p->newer == NULL; }

static void drop(cache_t *c, page_t *p)
{
    if (is_pinned(p))
        tm_unpin(p->data);
    else
        leave_ring(p);
    *place_of(c, p->key) = p->next;
    tm_free(p->data);
    free(p);
    c->npages--;
}

static void drop_unpinned(cache_t *c, unsigned limit)
{
    while (c->purgeable && c->npages > limit && c->unpinned.newer != &c->unpinned)
        drop(c, c->unpinned.newer);
}

/* Twice as many buckets. Without memory the lists just get longer. */
static void grow_table(cache_t *c)
{
    unsigned n = c->nbuckets;
    page_t **old = c->buckets, **buckets = calloc(2 * (size_t)n, sizeof *buckets);
    if (buckets == NULL)
        return;
    c->buckets = buckets;
    c->nbuckets = 2 * n;
    for (unsigned i = 0; i < n; i++)
        for (page_t *p = old[i], *next; p != NULL; p = next) {
            next = p->next;
            p->next = buckets[p->key & (2 * n - 1)];
            buckets[p->key & (2 * n - 1)] = p;
        }
    free(old);
}

/* ---- what SQLite calls ------------------------------------------------------------------------------------------- */

static int start(void *unused)
{
    (void)unused;
    return SQLITE_OK;
}

static void stop(void *unused) { (void)unused; }

static sqlite3_pcache *create(int page_bytes, int extra_bytes, int purgeable)
{
    cache_t *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->page_bytes = (size_t)page_bytes;
    c->extra_bytes = (size_t)extra_bytes;
    c->purgeable = purgeable != 0;
    c->unpinned.newer = c->unpinned.older = &c->unpinned;
    c->nbuckets = 64;
    c->buckets = calloc(c->nbuckets, sizeof(page_t *));
    if (c->buckets == NULL) {
        free(c);
        return NULL;
    }
    return (sqlite3_pcache *)c;
}

static void set_size(sqlite3_pcache *cache, int npages)
{
    cache_t *c = (cache_t *)cache;
    c->limit = npages < 0 ? 0 : (unsigned)npages;
    drop_unpinned(c, c->limit);
}

static int page_count(sqlite3_pcache *cache) { return (int)((cache_t *)cache)->npages; }

static page_t *new_page(cache_t *c, unsigned key)
{
    page_t *p = calloc(1, sizeof *p);
    if (p != NULL)
        p->data = tm_calloc(1, c->page_bytes + c->extra_bytes);
    if (p == NULL || p->data == TM_NULL) {
        free(p);
        return NULL;
    }
    if (c->npages >= 2 * c->nbuckets)
        grow_table(c);
    p->key = key;
    p->next = c->buckets[key & (c->nbuckets - 1)];
    c->buckets[key & (c->nbuckets - 1)] = p;
    c->npages++;
    return p;
}

static sqlite3_pcache_page *fetch(sqlite3_pcache *cache, unsigned key, int make)
{
    cache_t *c = (cache_t *)cache;
    page_t *p = *place_of(c, key);
    if (p != NULL && is_pinned(p))
        return &p->shown;
    if (p != NULL) {
        leave_ring(p);
    } else if (make) {
        drop_unpinned(c, c->limit > 0 ? c->limit - 1 : 0);
        if (make == 1 && c->purgeable && c->npages >= c->limit)
            return NULL;
        p = new_page(c, key);
    }
    if (p == NULL)
        return NULL;
    p->shown.pBuf = tm_pin(p->data);
    p->shown.pExtra = (char *)p->shown.pBuf + c->page_bytes;
    if (p->shown.pBuf != p->was)
        memset(p->shown.pExtra, 0, sizeof(void *));
    return &p->shown;
}

static void unpin(sqlite3_pcache *cache, sqlite3_pcache_page *shown, int discard)
{
    cache_t *c = (cache_t *)cache;
    page_t *p = (page_t *)shown;
    if (discard) {
        drop(c, p);
        return;
    }
    p->was = shown->pBuf;
    tm_unpin(p->data);
    enter_ring(c, p);
    drop_unpinned(c, c->limit);
}

static void rekey(sqlite3_pcache *cache, sqlite3_pcache_page *shown, unsigned from, unsigned to)
{
    cache_t *c = (cache_t *)cache;
    page_t *p = (page_t *)shown, *other = *place_of(c, to);
    if (other != NULL)
        drop(c, other);
    *place_of(c, from) = p->next;
    p->key = to;
    p->next = c->buckets[to & (c->nbuckets - 1)];
    c->buckets[to & (c->nbuckets - 1)] = p;
}

static void truncate_at(sqlite3_pcache *cache, unsigned limit)
{
    cache_t *c = (cache_t *)cache;
    for (unsigned i = 0; i < c->nbuckets; i++)
        for (page_t *p = c->buckets[i], *next; p != NULL; p = next) {
            next = p->next;
            if (p->key >= limit)
                drop(c, p);
        }
}

static void shrink(sqlite3_pcache *cache) { drop_unpinned((cache_t *)cache, 0); }

static void destroy(sqlite3_pcache *cache)
{
    truncate_at(cache, 0);
    free(((cache_t *)cache)->buckets);
    free(cache);
}

/* ---- the example's data: what a row holds follows from its number ------------------------------------------------ */

enum { LARGEST = 600 };

static int make_row(int id, char *text)
{
    int size = 200 + (int)((unsigned)id * 2654435761u % (LARGEST - 200));
    memset(text, 'a' + id % 26, (size_t)size);
    return size;
}

static sqlite3 *must(sqlite3 *db, int status)
{
    if (status == SQLITE_OK)
        return db;
    fprintf(stderr, "page_cache: %s\n", db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(status));
    exit(1);
}

static void run(sqlite3 *db, const char *sql) { must(db, sqlite3_exec(db, sql, NULL, NULL, NULL)); }

/* What a transaction has changed stays pinned until it is written. */
static void fill(sqlite3 *db, int rows)
{
    enum { BATCH = 1000 };
    sqlite3_stmt *insert;
    char text[LARGEST];
    run(db, "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
    must(db, sqlite3_prepare_v2(db, "INSERT INTO t VALUES(?, ?)", -1, &insert, NULL));
    for (int id = 0; id < rows; id++) {
        if (id % BATCH == 0)
            run(db, id == 0 ? "BEGIN" : "COMMIT; BEGIN");
        sqlite3_bind_int(insert, 1, id);
        sqlite3_bind_text(insert, 2, text, make_row(id, text), SQLITE_TRANSIENT);
        must(db, sqlite3_step(insert) == SQLITE_DONE ? SQLITE_OK : SQLITE_ERROR);
        sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
    run(db, "COMMIT");
}

/* Looks all rows up, `stride` apart. Returns how many are wrong. */
static int count_wrong(sqlite3 *db, int rows, int stride)
{
    sqlite3_stmt *select;
    char text[LARGEST];
    int wrong = 0, id = 0;
    must(db, sqlite3_prepare_v2(db, "SELECT v FROM t WHERE id = ?", -1, &select, NULL));
    for (int i = 0; i < rows; i++, id = (int)(((long)id + stride) % rows)) {
        sqlite3_bind_int(select, 1, id);
        int size = make_row(id, text);
        wrong += sqlite3_step(select) != SQLITE_ROW || sqlite3_column_bytes(select, 0) != size ||
                 memcmp(sqlite3_column_text(select, 0), text, (size_t)size) != 0;
        sqlite3_reset(select);
    }
    sqlite3_finalize(select);
    return wrong;
}

int main(int argc, char **argv)
{
    static const sqlite3_pcache_methods2 methods = {.iVersion = 1,
                                                    .xInit = start,
                                                    .xShutdown = stop,
                                                    .xCreate = create,
                                                    .xCachesize = set_size,
                                                    .xPagecount = page_count,
                                                    .xFetch = fetch,
                                                    .xUnpin = unpin,
                                                    .xRekey = rekey,
                                                    .xTruncate = truncate_at,
                                                    .xDestroy = destroy,
                                                    .xShrink = shrink};
    enum { STRIDE = 7919 }; /* a prime: the order of use is not that of addresses */
    int rows = argc > 1 ? atoi(argv[1]) : 50000, wrong;
    sqlite3 *db = NULL;
    must(NULL, sqlite3_config(SQLITE_CONFIG_PCACHE2, &methods));
    char name[] = "/tmp/page_cache.XXXXXX";
    int fd = mkstemp(name);
    must(db, fd >= 0 ? sqlite3_open(name, &db) : SQLITE_CANTOPEN);
    run(db, "PRAGMA page_size = 1024; PRAGMA cache_size = 100000; PRAGMA journal_mode = off; PRAGMA synchronous = off");
    fill(db, rows);
    wrong = count_wrong(db, rows, STRIDE);
    printf("%d rows, all in the cache\n", rows);

    run(db, "PRAGMA cache_size = 6000");
    printf("the cache is cut to 6000 pages of 1 KiB\n");
    compact_and_print();

    wrong += count_wrong(db, rows, STRIDE);
    run(db, "UPDATE t SET v = v || v WHERE id < 500; DELETE FROM t WHERE id > 500 AND id < 2500");
    must(db, sqlite3_close(db));
    close(fd);
    unlink(name);
    tm_stats_t s = {.struct_size = sizeof s};
    tm_stats(&s);
    printf("%d rows wrong, %zu bytes of pages left\n", wrong, s.live_bytes);
    return wrong != 0 || s.live_bytes != 0;
}
