/* snapshot_load.c - reading a snapshot: it is mapped, checked whole, and then its records become entries. */
#define _GNU_SOURCE
#include "map.h"
#include "snapshot.h"
#include "snapshot_file.h"
#include "zset.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool refuse(const char *why)
{
    fprintf(stderr, "kv: %s is not loaded: %s\n", server.snapshot, why);
    return false;
}

/* An item that lies before `end`; NULL otherwise. */
static const char *item_within(const char *p, const char *end, struct item *item)
{
    size_t header = p < end && (unsigned char)*p == PACK_WIDE ? 5 : 1;
    if ((size_t)(end - p) < header)
        return NULL;
    const char *next = pack_read(p, item);
    return item->len <= (size_t)(end - item->at) ? next : NULL;
}

/* One item of an aggregate, or for a hash two. NULL: damaged, or no memory. */
static const char *add_part(struct table *db, place *p, unsigned kind, const char *at, const char *end)
{
    struct item item, value = {"", 0};
    bool good = (at = item_within(at, end, &item)) != NULL;
    if (good && kind == ENTRY_HASH)
        good = (at = item_within(at, end, &value)) != NULL;
    if (!good)
        return NULL;
    if (kind == ENTRY_LIST) {
        good = row_insert(db, p, row_count(store_at(*p)), item.at, item.len);
    } else if (kind == ENTRY_ZSET) {
        struct item member;
        double score;
        good = item.len >= sizeof score;
        if (good) {
            member = zset_item_member(&item);
            score = zset_item_score(&item);
            good = score == score && !zset_find(store_at(*p), &member, &(double){0}) && zset_add(db, p, &member, score);
        }
    } else {
        good = map_put(db, p, item.at, item.len, value.at, value.len) == MAP_NEW;
    }
    return good ? at : NULL;
}

static const char *add_parts(struct table *db, place *p, const struct snapshot_record *r, const char *at,
                             const char *end)
{
    for (uint32_t n = r->kind == ENTRY_HASH ? r->parts / 2 : r->parts; n > 0 && at != NULL; n--)
        at = add_part(db, p, r->kind, at, end);
    return at;
}

static void bear(struct entry *e, unsigned kind)
{
    e->clock = (uint32_t)(server.now / 1000) & 0xffffff;
    e->saved = server.epoch;
    e->type = kind & ENTRY_KIND;
}

/* ---- fragments ---- */

/* Of lists: they are put in order when all are known. */
static struct fragment {
    struct snapshot_record record;
    const char *key, *items;
    size_t order; /* in the file */
} *fragments;
static size_t nfragments, fragments_room;

static bool remember(const struct snapshot_record *r, const char *key, const char *items)
{
    if (nfragments == fragments_room) {
        size_t room = fragments_room == 0 ? 256 : 2 * fragments_room;
        struct fragment *grown = realloc(fragments, room * sizeof *grown);
        if (grown == NULL)
            return false;
        fragments = grown;
        fragments_room = room;
    }
    fragments[nfragments] = (struct fragment){*r, key, items, nfragments};
    nfragments++;
    return true;
}

/* The place of a key that may be new. NULL: another kind of value, or no memory. */
static place *place_of(const struct snapshot_record *r, const char *key)
{
    struct table *db = &server.db[r->db];
    place *p = table_find(db, key, r->key_len);
    if (p == NULL && (p = table_add(db, key, r->key_len, 0, r->expiry)) != NULL)
        bear(store_at(*p), r->kind);
    return p != NULL && (((struct entry *)store_at(*p))->type & ENTRY_KIND) == r->kind ? p : NULL;
}

static const char *load_fragment(const struct snapshot_record *r, const char *key, const char *at, const char *end)
{
    struct item item;
    place *p;
    if (r->kind == ENTRY_STRING || r->fragment > SNAPSHOT_PATCH)
        return NULL;
    if (r->kind != ENTRY_LIST)
        return (p = place_of(r, key)) == NULL ? NULL : add_parts(&server.db[r->db], p, r, at, end);
    if (!remember(r, key, at))
        return NULL;
    for (uint32_t n = r->parts; n > 0 && at != NULL; n--)
        at = item_within(at, end, &item);
    return at;
}

/* By key; items by number; then patches, the last first. */
static int compare(const void *a, const void *b)
{
    const struct fragment *x = a, *y = b;
    if (x->record.db != y->record.db)
        return x->record.db < y->record.db ? -1 : 1;
    if (x->record.key_len != y->record.key_len)
        return x->record.key_len < y->record.key_len ? -1 : 1;
    int order = memcmp(x->key, y->key, x->record.key_len);
    if (order != 0)
        return order;
    if (x->record.fragment != y->record.fragment)
        return x->record.fragment < y->record.fragment ? -1 : 1;
    if (x->record.fragment == SNAPSHOT_PATCH)
        return x->order > y->order ? -1 : 1;
    return x->record.index < y->record.index ? -1 : x->record.index > y->record.index;
}

static bool put_in_order(const struct fragment *f, const char *end)
{
    struct item item;
    place *p = place_of(&f->record, f->key);
    struct table *db = &server.db[f->record.db];
    uint32_t count = p == NULL ? 0 : row_count(store_at(*p));
    if (p == NULL)
        return false;
    if (f->record.fragment != SNAPSHOT_PATCH)
        return f->record.index == count && add_parts(db, p, &f->record, f->items, end) != NULL;
    return f->record.parts == 1 && f->record.index < count && item_within(f->items, end, &item) != NULL &&
           row_replace(db, p, f->record.index, item.at, item.len);
}

static bool load_lists(const char *end)
{
    bool good = true;
    if (nfragments > 0)
        qsort(fragments, nfragments, sizeof *fragments, compare);
    for (size_t i = 0; i < nfragments && good; i++) {
        store_begin();
        good = put_in_order(&fragments[i], end);
        store_end();
    }
    free(fragments);
    fragments = NULL;
    nfragments = fragments_room = 0;
    return good || refuse("it is damaged, or memory is short");
}

/* ---- records ---- */

/* The record at `at`; returns where the next one begins. NULL: damaged, or no memory. */
static const char *load_one(const struct snapshot_record *r, const char *at, const char *end)
{
    struct item item = {"", 0};
    const char *key = at;
    if (r->kind > ENTRY_HASH || r->db >= DATABASES || r->key_len > (size_t)(end - at) || r->parts == 0 ||
        (r->kind == ENTRY_HASH && r->parts % 2 != 0))
        return NULL;
    struct table *db = &server.db[r->db];
    if (r->fragment != 0)
        return load_fragment(r, key, at + r->key_len, end);
    at += r->key_len;
    const char *next = r->kind == ENTRY_STRING ? item_within(at, end, &item) : at;
    if (next == NULL || table_find(db, key, r->key_len) != NULL)
        return NULL;
    place *p = table_add(db, key, r->key_len, item.len, r->expiry);
    if (p == NULL)
        return NULL;
    struct entry *e = store_at(*p);
    bear(e, r->kind);
    if (item.len > 0)
        memcpy(entry_value(e), item.at, item.len);
    if (r->kind != ENTRY_STRING)
        next = add_parts(db, p, r, next, end);
    if (next != NULL && r->expiry != 0 && r->expiry <= server.now)
        table_remove(db, p);
    return next;
}

static bool load(const char *at, const char *end)
{
    for (uint32_t n = 0;; n++) {
        struct snapshot_record record;
        if ((size_t)(end - at) < sizeof record)
            return refuse("it is damaged: a record is cut");
        memcpy(&record, at, sizeof record);
        at += sizeof record;
        if (record.kind == SNAPSHOT_END)
            return at == end && record.parts == n ? load_lists(end) : refuse("it is damaged: records are missing");
        store_begin();
        at = load_one(&record, at, end);
        store_end();
        if (at == NULL)
            return refuse("it is damaged, or memory is short");
    }
}

static bool check(const char *bytes, size_t len)
{
    uint64_t sum;
    if (len < 8 || memcmp(bytes, SNAPSHOT_MAGIC, 8) != 0)
        return refuse("it is no snapshot of this version");
    if (len < 8 + sizeof(struct snapshot_record) + sizeof sum)
        return refuse("it is truncated");
    memcpy(&sum, bytes + len - sizeof sum, sizeof sum);
    return sum == snapshot_sum(0, bytes, len - sizeof sum) ||
           refuse("it is truncated or damaged: its checksum is wrong");
}

bool snapshot_load(void)
{
    struct stat info;
    int fd = open(server.snapshot, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || refuse(strerror(errno));
    bool good = fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
    size_t len = good ? (size_t)info.st_size : 0;
    char *bytes = len == 0 ? MAP_FAILED : mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (bytes == MAP_FAILED)
        return refuse(!good ? "it is no file" : len == 0 ? "it is truncated" : strerror(errno));
    good = check(bytes, len) && load(bytes + 8, bytes + len - sizeof(uint64_t));
    munmap(bytes, len);
    return good;
}
