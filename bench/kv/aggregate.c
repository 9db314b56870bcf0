#include "aggregate.h"
#include "evict.h"
#include "row.h"

static store_ref queue;
static uint64_t waiting;

uint64_t aggregate_waiting(void) { return waiting; }

uint64_t entry_owned(struct entry *e)
{
    struct aggregate *a = aggregate_of(e);
    return sizeof *a + a->table.bytes + a->table.buckets * sizeof(store_ref) + seq_bytes(&a->seq);
}

void aggregate_leave(store_ref r)
{
    ((struct aggregate *)store_at(r))->next = queue;
    queue = r;
    waiting++;
}

void entry_disown(struct entry *e)
{
    store_ref r;
    memcpy(&r, entry_value(e), sizeof r);
    e->type = e->type & ENTRY_KIND;
    aggregate_leave(r);
}

/* What a snapshot still reads waits. */
bool aggregate_free(size_t most)
{
    store_ref *link = &queue;
    while (*link != STORE_NONE && ((struct aggregate *)store_at(*link))->part != NULL)
        link = &((struct aggregate *)store_at(*link))->next;
    store_ref r = *link;
    if (r == STORE_NONE)
        return false;
    struct aggregate *a = store_at(r);
    if (seq_destroy(&a->seq, most) && table_destroy(&a->table, most)) {
        *link = a->next;
        store_free(r);
        waiting--;
    }
    return true;
}

bool aggregate_open(const struct call *c, unsigned kind, place **p)
{
    *p = key_look(c, 1);
    return *p == NULL || key_is(c, *p, kind);
}

bool aggregate_make(const struct call *c, unsigned kind, place **p)
{
    if (!aggregate_open(c, kind, p))
        return false;
    if (*p != NULL)
        return true;
    *p = table_add(c->db, arg(c, 1), arg_len(c, 1), 0, 0);
    if (*p == NULL) {
        reply_no_memory(c);
        return false;
    }
    struct entry *e = store_at(**p);
    e->type = kind & ENTRY_KIND;
    evict_born(e);
    return true;
}

uint64_t aggregate_count(struct entry *e)
{
    unsigned kind = e->type & ENTRY_KIND;
    if (!aggregate_is_large(e)) {
        uint32_t n = pack_count(entry_value(e), entry_value(e) + e->value_len);
        return kind == ENTRY_HASH ? n / 2 : n;
    }
    struct aggregate *a = aggregate_of(e);
    return kind == ENTRY_LIST ? seq_count(&a->seq) : a->table.count;
}

void aggregate_close(struct table *db, place *p)
{
    struct entry *e = store_at(*p);
    if (aggregate_is_large(e) ? aggregate_count(e) == 0 : e->value_len == 0)
        table_remove(db, p);
}

char *aggregate_splice(struct table *db, place *p, size_t at, size_t removed, size_t added)
{
    struct entry *e = store_at(*p);
    size_t len = e->value_len, after = len - at - removed;
    if (added > removed && (e = table_resize(db, p, len + added - removed)) == NULL)
        return NULL;
    memmove(entry_value(e) + at + added, entry_value(e) + at + removed, after);
    if (added < removed)
        e = table_resize(db, p, len + added - removed);
    return entry_value(e) + at;
}

struct aggregate *aggregate_new(store_ref *r)
{
    *r = store_alloc_zero(sizeof(struct aggregate));
    return *r == STORE_NONE ? NULL : store_at(*r);
}

bool aggregate_own(struct table *db, place *p, store_ref r)
{
    struct entry *e = table_resize(db, p, sizeof r);
    if (e == NULL)
        return false;
    memcpy(entry_value(e), &r, sizeof r);
    e->type = (e->type & ENTRY_KIND) | ENTRY_OWNS;
    aggregate_account(db, e, 0);
    return true;
}
