#include "watch.h"
#include "commands.h"
#include "hash.h"

#include <stdlib.h>

enum { SLOTS = 1024 };

struct watch {
    struct watch *next, **link; /* in its slot */
    struct watch *of_session;
    struct session *session;
    struct table *db;
    size_t len;
    char key[];
};

static struct watch *slots[SLOTS];

static struct watch **slot_of(const char *key, size_t len) { return &slots[hash_bytes(key, len) % SLOTS]; }

static bool is_of(const struct watch *w, const struct table *db, const char *key, size_t len)
{
    return w->db == db && w->len == len && memcmp(w->key, key, len) == 0;
}

void watch_touch_slowly(const struct table *db, const char *key, size_t len)
{
    for (struct watch *w = *slot_of(key, len); w != NULL; w = w->next) {
        if (is_of(w, db, key, len))
            w->session->touched = true;
    }
}

void watch_clear(struct session *s)
{
    while (s->watches != NULL) {
        struct watch *w = s->watches;
        s->watches = w->of_session;
        *w->link = w->next;
        if (w->next != NULL)
            w->next->link = w->link;
        free(w);
        server.watches--;
    }
    s->touched = false;
}

bool watch_is_touched(struct session *s)
{
    for (struct watch *w = s->watches; w != NULL && !s->touched; w = w->of_session) {
        place *p = table_find(w->db, w->key, w->len);
        struct entry *e = p == NULL ? NULL : store_at(*p);
        s->touched = e != NULL && e->expires && entry_expiry(e) <= server.now;
    }
    return s->touched;
}

void watch_flush(struct table *db)
{
    for (unsigned i = 0; i < SLOTS && server.watches > 0; i++) {
        for (struct watch *w = slots[i]; w != NULL; w = w->next)
            w->session->touched |= w->db == db && table_find(db, w->key, w->len) != NULL;
    }
}

static bool add(const struct call *c, uint32_t i)
{
    struct session *s = c->session;
    for (struct watch *w = s->watches; w != NULL; w = w->of_session) {
        if (is_of(w, c->db, arg(c, i), arg_len(c, i)))
            return true;
    }
    struct watch *w = malloc(sizeof *w + arg_len(c, i)), **slot = slot_of(arg(c, i), arg_len(c, i));
    if (w == NULL)
        return false;
    *w = (struct watch){*slot, slot, s->watches, s, c->db, arg_len(c, i)};
    memcpy(w->key, arg(c, i), w->len);
    if (*slot != NULL)
        (*slot)->link = &w->next;
    *slot = w;
    s->watches = w;
    server.watches++;
    return true;
}

void cmd_watch(const struct call *c)
{
    if (c->session->transaction.open) {
        reply_error(c->out, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    for (uint32_t i = 1; i < c->argc; i++) {
        (void)key_find(c, i); // one whose time is over goes now, and not as a change
        if (!add(c, i)) {
            reply_no_memory(c);
            return;
        }
    }
    reply_status(c->out, "OK");
}

void cmd_unwatch(const struct call *c)
{
    watch_clear(c->session);
    reply_status(c->out, "OK");
}
