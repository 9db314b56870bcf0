/* search.c - SCAN and KEYS, and the patterns of both. */
#include "search.h"
#include "commands.h"
#include "work.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { STEP = 512, PIECE = 48 * 1024 }; // buckets; bytes after which a piece of the reply is put aside

/* ---- patterns ---- */

/* One character against the set that begins after '['. Returns where the set ends. */
static const char *in_set(const char *p, const char *end, char ch, bool *is_in)
{
    bool negated = p < end && *p == '^', found = false;
    p += negated;
    for (; p < end && *p != ']'; p++) {
        if (*p == '\\' && p + 1 < end) {
            found |= *++p == ch;
        } else if (p + 2 < end && p[1] == '-') {
            unsigned char low = (unsigned char)p[0], high = (unsigned char)p[2], at = (unsigned char)ch;
            found |= low <= high ? at >= low && at <= high : at >= high && at <= low;
            p += 2;
        } else {
            found |= *p == ch;
        }
    }
    *is_in = found != negated;
    return p < end ? p + 1 : p;
}

/* Linear except for stars: only the last star is tried again, which is enough. */
bool glob_match(const char *pattern, size_t pattern_len, const char *text, size_t len)
{
    const char *p = pattern, *end = pattern + pattern_len, *t = text, *text_end = text + len, *star = NULL,
               *star_text = t;
    while (t < text_end || p < end) {
        if (p < end && *p == '*') {
            star = ++p;
            star_text = t;
            continue;
        }
        const char *next = p;
        bool good = false;
        if (p < end && t < text_end) {
            next = p + 1;
            good = *p == '?' || *p == *t;
            if (*p == '[')
                next = in_set(p + 1, end, *t, &good);
            else if (*p == '\\' && p + 1 < end)
                good = p[1] == *t, next = p + 2;
        }
        if (good) {
            p = next;
            t++;
        } else if (star != NULL && star_text < text_end) {
            p = star;
            t = ++star_text;
        } else {
            return false;
        }
    }
    return true;
}

/* ---- searches ---- */

struct search {
    struct table *db;
    uint64_t cursor, n, count; /* n found, of count that are wanted */
    int64_t buckets;           /* that may still be looked at */
    bool keys;                 /* KEYS: the reply is the array alone */
    struct reply found;        /* the number of replies is known at the end: they are collected */
    struct reply_piece *first, **last;
    const char *type;          /* in words, or NULL */
    const char *pattern;       /* in words, or NULL */
    size_t pattern_len, type_len;
    char words[];              /* the client's buffer is gone when the search goes on */
};

static void see(void *data, struct entry *e)
{
    struct search *s = data;
    if (e->expires && entry_expiry(e) <= server.now)
        return;
    if (s->type != NULL && (s->type_len != strlen(key_kind(e)) || strncasecmp(s->type, key_kind(e), s->type_len) != 0))
        return;
    if (s->pattern != NULL && !glob_match(s->pattern, s->pattern_len, entry_key(e), e->key_len))
        return;
    reply_bulk(&s->found, entry_key(e), e->key_len);
    s->n++;
}

static void put_aside(struct search *s)
{
    struct reply_piece *piece = reply_cut(&s->found);
    if (piece == NULL)
        return;
    *s->last = piece;
    s->last = &piece->next;
}

static void header(struct search *s, struct reply *out)
{
    char text[24];
    if (!s->keys) {
        snprintf(text, sizeof text, "%llu", (unsigned long long)s->cursor);
        reply_array(out, 2);
        reply_text(out, text);
    }
    reply_array(out, s->n);
}

void search_free(struct session *session)
{
    struct search *s = session->search;
    session->search = NULL;
    if (s == NULL)
        return;
    reply_free_pieces(s->first);
    reply_free(&s->found);
    free(s);
}

bool search_step(struct session *session)
{
    struct search *s = session->search;
    uint64_t end = work_done + STEP;
    bool more = true;
    while (more && work_done < end) {
        s->cursor = table_scan(s->db, s->cursor, see, s);
        more = s->cursor != 0 && s->n < s->count && --s->buckets > 0 && !s->found.broken;
    }
    if (s->found.len >= PIECE || (!more && s->first != NULL))
        put_aside(s);
    if (more)
        return false;
    header(s, &session->out);
    reply_raw(&session->out, s->found.bytes, s->found.len);
    reply_append(&session->out, s->first);
    session->out.broken |= s->found.broken;
    s->first = NULL;
    search_free(session);
    return true;
}

/* As much as one step does is done at once; the rest waits for its turns, unless this is part of a transaction. */
static void begin(const struct call *c, const struct search *wanted)
{
    struct search *s = malloc(sizeof *s + wanted->pattern_len + wanted->type_len);
    if (s == NULL) {
        reply_no_memory(c);
        return;
    }
    *s = *wanted;
    s->db = c->db;
    s->last = &s->first;
    if (wanted->pattern != NULL)
        s->pattern = memcpy(s->words, wanted->pattern, wanted->pattern_len);
    if (wanted->type != NULL)
        s->type = memcpy(s->words + wanted->pattern_len, wanted->type, wanted->type_len);
    c->session->search = s;
    while (!search_step(c->session) && c->session->whole)
        continue;
}

void cmd_keys(const struct call *c)
{
    begin(c, &(struct search){.pattern = arg(c, 1), .pattern_len = arg_len(c, 1), .keys = true, .count = UINT64_MAX,
                              .buckets = INT64_MAX});
}

bool arg_cursor(const struct call *c, uint32_t at, uint64_t *cursor)
{
    *cursor = 0;
    for (size_t i = 0; i < arg_len(c, at); i++) {
        char ch = arg(c, at)[i];
        if (ch < '0' || ch > '9' || __builtin_mul_overflow(*cursor, (uint64_t)10, cursor) ||
            __builtin_add_overflow(*cursor, (uint64_t)(ch - '0'), cursor)) {
            reply_error(c->out, "ERR invalid cursor");
            return false;
        }
    }
    return true;
}

/* False: an error is replied. */
static bool scan_options(const struct call *c, struct search *s)
{
    int64_t count = 10;
    for (uint32_t i = 2; i < c->argc && count >= 1; i += 2) {
        bool more = i + 1 < c->argc;
        if (more && arg_is(c, i, "count")) {
            if (!arg_integer(c, i + 1, &count))
                return false;
        } else if (more && arg_is(c, i, "match")) {
            s->pattern = arg(c, i + 1);
            s->pattern_len = arg_len(c, i + 1);
        } else if (more && arg_is(c, i, "type")) {
            s->type = arg(c, i + 1);
            s->type_len = arg_len(c, i + 1);
        } else {
            count = 0;
        }
    }
    if (count < 1)
        reply_error(c->out, "ERR syntax error");
    s->count = (uint64_t)count;
    s->buckets = count > INT64_MAX / 10 ? INT64_MAX : count * 10; // as Redis: an empty table ends soon
    return count >= 1;
}

void cmd_scan(const struct call *c)
{
    struct search s = {0};
    if (arg_cursor(c, 1, &s.cursor) && scan_options(c, &s))
        begin(c, &s);
}
