/* sets.c - the commands on sets. */
#include "commands.h"
#include "hash.h"
#include "map.h"

#include <stdlib.h>

void cmd_sadd(const struct call *c)
{
    int64_t added = 0;
    place *p;
    if (!aggregate_make(c, ENTRY_SET, &p))
        return;
    for (uint32_t i = 2; i < c->argc; i++) {
        enum map_put put = map_put(c->db, p, arg(c, i), arg_len(c, i), "", 0);
        if (put == MAP_NO_MEMORY) {
            reply_no_memory(c);
            aggregate_close(c->db, p);
            return;
        }
        added += put == MAP_NEW;
    }
    reply_integer(c->out, added);
}

void cmd_srem(const struct call *c) { aggregate_remove(c, ENTRY_SET); }

static bool has(const struct call *c, place *p, uint32_t i)
{
    struct item value;
    return p != NULL && map_find(store_at(*p), arg(c, i), arg_len(c, i), &value);
}

void cmd_sismember(const struct call *c)
{
    place *p;
    if (aggregate_open(c, ENTRY_SET, &p))
        reply_integer(c->out, has(c, p, 2));
}

void cmd_smismember(const struct call *c)
{
    place *p;
    if (!aggregate_open(c, ENTRY_SET, &p))
        return;
    reply_array(c->out, c->argc - 2);
    for (uint32_t i = 2; i < c->argc; i++)
        reply_integer(c->out, has(c, p, i));
}

void cmd_scard(const struct call *c) { aggregate_reply_count(c, ENTRY_SET); }

static void see_member(void *out, const struct item *member, const struct item *value)
{
    (void)value;
    reply_bulk(out, member->at, member->len);
}

void cmd_smembers(const struct call *c)
{
    place *p;
    if (!aggregate_open(c, ENTRY_SET, &p))
        return;
    reply_set(c->out, p == NULL ? 0 : aggregate_count(store_at(*p)));
    if (p != NULL)
        map_each(store_at(*p), see_member, c->out);
}

/* Reply a random member, and remove it. */
static void pop_one(const struct call *c, place *p)
{
    struct item member, value;
    map_random(store_at(*p), &member, &value);
    uint64_t from = c->out->len;
    reply_bulk(c->out, member.at, member.len);
    if (c->out->broken || c->out->len == from)
        return; // what was not replied stays
    const char *copy = c->out->bytes + c->out->len - 2 - member.len;
    (void)map_remove(c->db, p, copy, member.len);
}

void cmd_spop(const struct call *c)
{
    int64_t count = 1;
    place *p;
    if (c->argc > 3) {
        reply_error(c->out, "ERR syntax error");
        return;
    }
    if ((c->argc == 3 && !arg_count(c, 2, &count)) || !aggregate_open(c, ENTRY_SET, &p))
        return;
    int64_t there = p == NULL ? 0 : (int64_t)aggregate_count(store_at(*p));
    count = count < there ? count : there;
    if (c->argc == 3)
        reply_set(c->out, (size_t)count);
    else if (p == NULL)
        reply_null(c->out);
    for (int64_t i = 0; i < count; i++)
        pop_one(c, p);
    if (p != NULL)
        aggregate_close(c->db, p);
}

/* Which of the parts are wanted: as many as are left to choose, of those left to come, each as likely. */
struct choice {
    struct reply *out;
    uint64_t wanted, left;
};

static void choose(void *data, const struct item *member, const struct item *value)
{
    struct choice *choice = data;
    if (hash_random() % choice->left-- < choice->wanted) {
        choice->wanted--;
        see_member(choice->out, member, value);
    }
}

/* A few distinct members of many: at random, and again if it is one that was chosen. False: no memory. */
static bool choose_few(const struct call *c, place *p, uint32_t count)
{
    struct item member, value;
    uint32_t room = 16;
    while (room < 2 * count)
        room *= 2;
    const char **chosen = calloc(room, sizeof *chosen); // by where it lies: nothing moves within a batch
    if (chosen == NULL)
        return false;
    reply_array(c->out, count);
    while (count > 0) {
        map_random(store_at(*p), &member, &value);
        uint32_t at = (uint32_t)((uintptr_t)member.at / 16 * 0x9e3779b97f4a7c15u >> 32) & (room - 1);
        while (chosen[at] != NULL && chosen[at] != member.at)
            at = (at + 1) & (room - 1);
        if (chosen[at] != NULL)
            continue;
        chosen[at] = member.at;
        reply_bulk(c->out, member.at, member.len);
        count--;
    }
    free(chosen);
    return true;
}

void cmd_srandmember(const struct call *c)
{
    int64_t count = 1;
    struct item member, value;
    place *p;
    if (c->argc > 3) {
        reply_error(c->out, "ERR syntax error");
        return;
    }
    if (c->argc == 3 && !arg_integer(c, 2, &count))
        return;
    if (count < -(INT64_MAX / 2) || count > INT64_MAX / 2) {
        reply_error(c->out, "ERR value is out of range");
        return;
    }
    if (!aggregate_open(c, ENTRY_SET, &p))
        return;
    uint64_t there = p == NULL ? 0 : aggregate_count(store_at(*p));
    if (p == NULL && c->argc == 2) {
        reply_null(c->out);
        return;
    }
    if (c->argc == 3 && count > 0 && there / 4 > (uint64_t)count && aggregate_is_large(store_at(*p))) {
        if (!choose_few(c, p, (uint32_t)count))
            reply_no_memory(c);
        return;
    }
    if (c->argc == 3 && (count >= 0 || there == 0)) {
        struct choice choice = {c->out, (uint64_t)count < there ? (uint64_t)count : there, there};
        reply_array(c->out, choice.wanted);
        if (choice.wanted > 0)
            map_each(store_at(*p), choose, &choice);
        return;
    }
    if (c->argc == 3)
        reply_array(c->out, (size_t)-count);
    for (int64_t i = count < 0 ? -count : count; i > 0 && !c->out->broken; i--) {
        map_random(store_at(*p), &member, &value);
        reply_bulk(c->out, member.at, member.len);
    }
}

static unsigned show_member(struct reply *out, const struct item *name, const struct item *value)
{
    see_member(out, name, value);
    return 1;
}

void cmd_sscan(const struct call *c) { aggregate_scan(c, ENTRY_SET, show_member); }
