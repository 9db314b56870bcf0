/* snapshot_load.c - reading a snapshot: it is mapped, checked whole, and then its records become entries. */
#define _GNU_SOURCE
#include "map.h"
#include "snapshot.h"
#include "zset.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
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

/* The record at `at`; returns where the next one begins. NULL: damaged, or no memory. */
static const char *load_one(const struct snapshot_record *r, const char *at, const char *end)
{
    struct item item = {"", 0};
    const char *key = at;
    if (r->kind > ENTRY_HASH || r->db >= DATABASES || r->key_len > (size_t)(end - at) || r->parts == 0 ||
        (r->kind == ENTRY_HASH && r->parts % 2 != 0))
        return NULL;
    struct table *db = &server.db[r->db];
    at += r->key_len;
    const char *next = r->kind == ENTRY_STRING ? item_within(at, end, &item) : at;
    if (next == NULL || table_find(db, key, r->key_len) != NULL)
        return NULL;
    place *p = table_add(db, key, r->key_len, item.len, r->expiry);
    if (p == NULL)
        return NULL;
    struct entry *e = store_at(*p);
    e->clock = (uint32_t)(server.now / 1000) & 0xffffff;
    e->saved = server.epoch;
    e->type = r->kind & ENTRY_KIND;
    if (item.len > 0)
        memcpy(entry_value(e), item.at, item.len);
    uint32_t steps = r->kind == ENTRY_STRING ? 0 : r->kind == ENTRY_HASH ? r->parts / 2 : r->parts;
    for (; steps > 0 && next != NULL; steps--)
        next = add_part(db, p, r->kind, next, end);
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
            return (at == end && record.parts == n) || refuse("it is damaged: records are missing");
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
