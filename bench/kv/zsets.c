/* zsets.c - the commands on sorted sets. */
#include "commands.h"
#include "map.h"
#include "zset.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- numbers ---- */

/* A float as Redis takes it: no blanks before it, nothing after it, in range. */
static bool parse_double(const char *bytes, size_t len, double *out)
{
    char text[400], *end;
    if (len == 0 || len >= sizeof text || isspace((unsigned char)bytes[0]))
        return false;
    memcpy(text, bytes, len);
    text[len] = 0;
    errno = 0;
    *out = strtod(text, &end);
    return end == text + len && !isnan(*out) && !(errno == ERANGE && (isinf(*out) || *out == 0));
}

static bool arg_double(const struct call *c, uint32_t i, double *out)
{
    if (parse_double(arg(c, i), arg_len(c, i), out))
        return true;
    reply_error(c->out, "ERR value is not a valid float");
    return false;
}

static inline struct item arg_item(const struct call *c, uint32_t i) { return (struct item){arg(c, i), arg_len(c, i)}; }

/* ---- changes ---- */

struct zadd {
    bool nx, xx, gt, lt, ch, incr;
    int64_t added, changed;
    double score; /* of the last one */
    bool done;    /* the last one was not held back by an option */
};

/* The options from argument 2 on. Returns the first argument behind them, 0: an error is replied. */
static uint32_t zadd_options(const struct call *c, struct zadd *z)
{
    uint32_t i = 2;
    for (; i < c->argc; i++) {
        bool known = (arg_is(c, i, "nx") && (z->nx = true)) || (arg_is(c, i, "xx") && (z->xx = true)) ||
                     (arg_is(c, i, "gt") && (z->gt = true)) || (arg_is(c, i, "lt") && (z->lt = true)) ||
                     (arg_is(c, i, "ch") && (z->ch = true)) || (arg_is(c, i, "incr") && (z->incr = true));
        if (!known)
            break;
    }
    const char *error = NULL;
    if ((c->argc - i) % 2 != 0 || i == c->argc)
        error = "ERR syntax error";
    else if (z->nx && z->xx)
        error = "ERR XX and NX options at the same time are not compatible";
    else if ((z->gt && z->nx) || (z->lt && z->nx) || (z->gt && z->lt))
        error = "ERR GT, LT, and/or NX options at the same time are not compatible";
    else if (z->incr && c->argc - i > 2)
        error = "ERR INCR option supports a single increment-element pair";
    if (error != NULL)
        reply_error(c->out, "%s", error);
    return error == NULL ? i : 0;
}

/* One member. False: an error is replied. */
static bool zadd_one(const struct call *c, place *p, struct zadd *z, const struct item *member, double score)
{
    double is = 0;
    bool there = zset_find(store_at(*p), member, &is), good = true;
    z->done = there ? !z->nx : !z->xx;
    if (there && z->incr)
        score += is;
    if (z->done && isnan(score)) {
        reply_error(c->out, "ERR resulting score is not a number (NaN)");
        return false;
    }
    if (there && ((z->gt && score <= is) || (z->lt && score >= is)))
        z->done = false;
    z->score = score;
    if (z->done && !there) {
        good = zset_add(c->db, p, member, score);
        z->added++;
    } else if (z->done && score != is) {
        good = zset_move(c->db, p, member, is, score);
        z->changed++;
    }
    if (!good)
        reply_no_memory(c);
    return good;
}

void cmd_zadd(const struct call *c)
{
    struct zadd z = {.incr = arg_is(c, 0, "zincrby")};
    uint32_t first = zadd_options(c, &z);
    double score;
    place *p;
    for (uint32_t i = first; first > 0 && i < c->argc; i += 2) {
        if (!arg_double(c, i, &score))
            return;
    }
    if (first == 0 || (z.xx ? !aggregate_open(c, ENTRY_ZSET, &p) : !aggregate_make(c, ENTRY_ZSET, &p)))
        return;
    bool good = true;
    for (uint32_t i = first; p != NULL && good && i < c->argc; i += 2) {
        struct item member = arg_item(c, i + 1);
        (void)parse_double(arg(c, i), arg_len(c, i), &score);
        good = zadd_one(c, p, &z, &member, score);
    }
    if (p != NULL)
        aggregate_close(c->db, p);
    if (!good)
        return;
    if (!z.incr)
        reply_integer(c->out, z.ch ? z.added + z.changed : z.added);
    else if (z.done)
        reply_double(c->out, z.score);
    else
        reply_null(c->out);
}

void cmd_zrem(const struct call *c)
{
    int64_t removed = 0;
    double score;
    place *p;
    if (!aggregate_open(c, ENTRY_ZSET, &p))
        return;
    for (uint32_t i = 2; p != NULL && i < c->argc; i++) {
        struct item member = arg_item(c, i);
        if (zset_find(store_at(*p), &member, &score)) {
            zset_remove(c->db, p, &member, score);
            removed++;
        }
    }
    if (p != NULL)
        aggregate_close(c->db, p);
    reply_integer(c->out, removed);
}

/* ---- questions ---- */

static void reply_score(const struct call *c, place *p, uint32_t i)
{
    struct item member = arg_item(c, i);
    double score;
    if (p != NULL && zset_find(store_at(*p), &member, &score))
        reply_double(c->out, score);
    else
        reply_null(c->out);
}

void cmd_zscore(const struct call *c)
{
    place *p;
    if (aggregate_open(c, ENTRY_ZSET, &p))
        reply_score(c, p, 2);
}

void cmd_zmscore(const struct call *c)
{
    place *p;
    if (!aggregate_open(c, ENTRY_ZSET, &p))
        return;
    reply_array(c->out, c->argc - 2);
    for (uint32_t i = 2; i < c->argc; i++)
        reply_score(c, p, i);
}

void cmd_zcard(const struct call *c) { aggregate_reply_count(c, ENTRY_ZSET); }

void cmd_zrank(const struct call *c)
{
    struct item member = arg_item(c, 2);
    double score;
    place *p;
    if (!aggregate_open(c, ENTRY_ZSET, &p))
        return;
    if (p == NULL || !zset_find(store_at(*p), &member, &score)) {
        reply_null(c->out);
        return;
    }
    uint32_t rank = zset_rank(store_at(*p), &member, score);
    reply_integer(c->out, arg_len(c, 0) == 5 ? rank : row_count(store_at(*p)) - 1 - rank);
}

/* ---- ranges ---- */

struct bound {
    double score;
    struct item member; /* by member; `infinite` below 0: before all, above: behind all */
    int infinite;
    bool open; /* the score or the member itself is out */
};

static bool parse_member_bound(const struct call *c, uint32_t i, struct bound *b)
{
    struct item text = arg_item(c, i);
    char first = text.len > 0 ? text.at[0] : 0;
    bool whole = (first == '-' || first == '+') && text.len == 1;
    if (!whole && first != '[' && first != '(') {
        reply_error(c->out, "ERR min or max not valid string range item");
        return false;
    }
    *b = (struct bound){.infinite = !whole ? 0 : first == '-' ? -1 : 1, .open = first == '('};
    if (!whole)
        b->member = (struct item){text.at + 1, text.len - 1};
    return true;
}

static bool parse_bound(const struct call *c, uint32_t i, struct bound *b)
{
    const char *bytes = arg(c, i);
    size_t len = arg_len(c, i);
    char text[400], *end;
    b->open = len > 0 && bytes[0] == '(';
    bytes += b->open;
    len -= b->open;
    if (len < sizeof text) {
        memcpy(text, bytes, len);
        text[len] = 0;
        b->score = strtod(text, &end); // as Redis: blanks before it, or nothing at all, will do
        if (*end == 0 && !isnan(b->score))
            return true;
    }
    reply_error(c->out, "ERR min or max is not a float");
    return false;
}

struct range {
    bool by_score, by_member, backwards, with_scores, limited;
    int64_t offset, limit;
    struct bound min, max;
    int64_t from, to; /* by rank */
};

static bool range_options(const struct call *c, struct range *r)
{
    bool general = arg_is(c, 0, "zrange"), wrong = false;
    r->by_member = tolower(arg(c, 0)[arg_len(c, 0) - 1]) == 'x';
    r->by_score = !general && !r->by_member && arg_len(c, 0) > 9;
    r->backwards = tolower(arg(c, 0)[2]) == 'e';
    r->limit = -1;
    for (uint32_t i = 4; i < c->argc && !wrong; i++) {
        bool open = general && !r->by_score && !r->by_member;
        if (arg_is(c, i, "withscores")) {
            r->with_scores = true;
        } else if (arg_is(c, i, "limit") && i + 2 < c->argc) {
            if (!arg_integer(c, i + 1, &r->offset) || !arg_integer(c, i + 2, &r->limit))
                return false;
            r->limited = true;
            i += 2;
        } else if (general && !r->backwards && arg_is(c, i, "rev")) {
            r->backwards = true;
        } else if (open && arg_is(c, i, "byscore")) {
            r->by_score = true;
        } else if (open && arg_is(c, i, "bylex")) {
            r->by_member = true;
        } else {
            wrong = true;
        }
    }
    if (wrong)
        reply_error(c->out, "ERR syntax error");
    else if (r->limited && r->limit != -1 && !r->by_score && !r->by_member)
        reply_error(c->out, "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX");
    else if (r->with_scores && r->by_member)
        reply_error(c->out, "ERR syntax error, WITHSCORES not supported in combination with BYLEX");
    else
        return true;
    return false;
}

static bool range_bounds(const struct call *c, struct range *r)
{
    uint32_t min = (r->by_score || r->by_member) && r->backwards ? 3 : 2;
    if (r->by_member)
        return parse_member_bound(c, min, &r->min) && parse_member_bound(c, 5 - min, &r->max);
    if (r->by_score)
        return parse_bound(c, min, &r->min) && parse_bound(c, 5 - min, &r->max);
    return arg_integer(c, 2, &r->from) && arg_integer(c, 3, &r->to);
}

/* Which items lie between the bounds: numbers from *first up to, not including, *end. */
static void between(struct entry *e, const struct range *r, int64_t *first, int64_t *end)
{
    if (r->by_member) {
        int64_t count = row_count(e);
        *first = r->min.infinite != 0 ? (r->min.infinite > 0) * count : zset_before(e, &r->min.member, r->min.open);
        *end = r->max.infinite != 0 ? (r->max.infinite > 0) * count : zset_before(e, &r->max.member, !r->max.open);
    } else {
        *first = zset_below(e, r->min.score, r->min.open);
        *end = zset_below(e, r->max.score, !r->max.open);
    }
    *end = *end < *first ? *first : *end;
}

struct showing {
    struct reply *out;
    bool scores;
};

static void show_ranked(void *data, const struct item *item)
{
    struct showing *s = data;
    struct item member = zset_item_member(item);
    if (s->scores && s->out->resp3)
        reply_array(s->out, 2);
    reply_bulk(s->out, member.at, member.len);
    if (s->scores)
        reply_double(s->out, zset_item_score(item));
}

/* Items from number *from on, in the order wanted, and how many. */
static void resolve(struct entry *e, const struct range *r, int64_t *from, int64_t *n)
{
    int64_t count = row_count(e), first, end, to = r->to;
    if (r->by_score || r->by_member) {
        between(e, r, &first, &end);
        int64_t there = end - first, skip = r->offset < 0 ? there : r->offset < there ? r->offset : there;
        *n = there - skip;
        *n = r->limit >= 0 && r->limit < *n ? r->limit : *n;
        *from = r->backwards ? end - 1 - skip : first + skip;
        return;
    }
    *from = r->from < 0 ? r->from + count : r->from;
    to = to < 0 ? to + count : to;
    *from = *from < 0 ? 0 : *from;
    to = to >= count ? count - 1 : to;
    *n = *from > to || *from >= count ? 0 : to - *from + 1;
    *from = r->backwards ? count - 1 - *from : *from;
}

void cmd_zrange(const struct call *c)
{
    struct range r = {0};
    int64_t from = 0, n = 0;
    place *p;
    if (!range_options(c, &r) || !range_bounds(c, &r) || !aggregate_open(c, ENTRY_ZSET, &p))
        return;
    if (p != NULL)
        resolve(store_at(*p), &r, &from, &n);
    struct showing s = {c->out, r.with_scores};
    reply_array(c->out, (size_t)n * (r.with_scores && !c->out->resp3 ? 2 : 1));
    if (n > 0)
        row_each(store_at(*p), (uint32_t)from, (uint32_t)n, r.backwards, show_ranked, &s);
}

void cmd_zcount(const struct call *c)
{
    struct range r = {.by_score = true};
    int64_t first = 0, end = 0;
    place *p;
    if (!range_bounds(c, &r) || !aggregate_open(c, ENTRY_ZSET, &p))
        return;
    if (p != NULL)
        between(store_at(*p), &r, &first, &end);
    reply_integer(c->out, end - first);
}

void cmd_zpop(const struct call *c)
{
    bool highest = arg_is(c, 0, "zpopmax");
    int64_t wanted = 1;
    place *p;
    if (c->argc > 3) {
        reply_error(c->out, "ERR syntax error");
        return;
    }
    if ((c->argc == 3 && !arg_count(c, 2, &wanted)) || !aggregate_open(c, ENTRY_ZSET, &p))
        return;
    uint32_t count = p == NULL ? 0 : row_count(store_at(*p)), n = wanted < count ? (uint32_t)wanted : count;
    bool pairs = c->out->resp3 && c->argc == 3;
    reply_array(c->out, pairs ? n : n * (size_t)2);
    for (uint32_t i = 0; i < n; i++) {
        struct item item = row_get(store_at(*p), highest ? count - 1 - i : 0), member = zset_item_member(&item);
        double score = zset_item_score(&item);
        if (pairs)
            reply_array(c->out, 2);
        reply_bulk(c->out, member.at, member.len);
        size_t at = c->out->len - 2 - member.len;
        reply_double(c->out, score);
        if (c->out->broken)
            return; // what was not replied stays
        member.at = c->out->bytes + at; // the copy: the item itself goes away piece by piece
        zset_remove(c->db, p, &member, score);
    }
    if (p != NULL)
        aggregate_close(c->db, p);
}

static unsigned show_scored(struct reply *out, const struct item *name, const struct item *value)
{
    double score;
    memcpy(&score, value->at, sizeof score);
    reply_bulk(out, name->at, name->len);
    reply_double(out, score);
    return 2;
}

void cmd_zscan(const struct call *c) { aggregate_scan(c, ENTRY_ZSET, show_scored); }
