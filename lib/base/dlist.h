/* dlist.h - intrusive doubly linked lists with a sentinel.
 *
 * L1  For every node n of a list: n->next->prev == n and n->prev->next == n.
 * L2  A node that is in no list points to itself. Removing it again therefore does nothing.
 * Owner: the holder of the list's lock. */
#ifndef TMI_BASE_DLIST_H
#define TMI_BASE_DLIST_H

#include "base/base.h"

typedef struct tmi_dlist {
    struct tmi_dlist *next, *prev;
} tmi_dlist_t;

static inline void tmi_dlist_init(tmi_dlist_t *n) { n->next = n->prev = n; }
static inline bool tmi_dlist_empty(const tmi_dlist_t *head) { return head->next == head; }

/* For audits: whether the node is in the list of `head`. Walks the list. */
static inline bool tmi_dlist_contains(const tmi_dlist_t *head, const tmi_dlist_t *node)
{
    for (const tmi_dlist_t *n = head->next; n != head; n = n->next)
        if (n == node)
            return true;
    return false;
}

static inline void tmi_dlist_insert_after(tmi_dlist_t *at, tmi_dlist_t *n)
{
    n->prev = at;
    n->next = at->next;
    at->next->prev = n;
    at->next = n;
}

static inline void tmi_dlist_push_front(tmi_dlist_t *head, tmi_dlist_t *n) { tmi_dlist_insert_after(head, n); }
static inline void tmi_dlist_push_back(tmi_dlist_t *head, tmi_dlist_t *n) { tmi_dlist_insert_after(head->prev, n); }

static inline void tmi_dlist_remove(tmi_dlist_t *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    tmi_dlist_init(n);
}

#endif
