/* watch.h - WATCH: keys that a client wants to find unchanged when it comes to EXEC.
 *
 * Idea: who changes a key calls watch_touch, which costs a comparison while nobody watches. A watch lies in a hash
 * table by key and in the list of its session; a change marks the sessions.
 *
 * A key that expires has changed, and so has one that is evicted or flushed. Fails: without memory WATCH does. */
#ifndef KV_WATCH_H
#define KV_WATCH_H

#include "server.h"

/* Forget what a session watches. */
void watch_clear(struct session *s);

/* Whether EXEC must not run: a key has changed since it was watched, or its time is over. */
bool watch_is_touched(struct session *s);

/* A database will be empty. */
void watch_flush(struct table *db);

void watch_touch_slowly(const struct table *db, const char *key, size_t len);
static inline void watch_touch(const struct table *db, const char *key, size_t len)
{
    if (__builtin_expect(server.watches > 0, 0))
        watch_touch_slowly(db, key, len);
}
static inline void watch_touch_entry(const struct table *db, struct entry *e)
{
    watch_touch(db, entry_key(e), e->key_len);
}
static inline void watch_touch_arg(const struct call *c, uint32_t i) { watch_touch(c->db, arg(c, i), arg_len(c, i)); }

#endif
