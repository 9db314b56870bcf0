/* An object is moved out of the way before it is locked: to a slab of its class that holds locked objects only, so that
 * a lock for the program's life does not keep a page of a slab in place whose other objects come and go.
 *
 * It is a batch of one (compact.h), made from its first step to its last under the mover's lock, by the thread that
 * locks. B1 holds for the batch that may be under way: when this one is done the object's word has no mark, or another
 * address, and so that batch's publishing fails. Where the object is in use, or a scope is open, it stays.
 *
 * A signal handler may lock objects, whatever its thread was doing: nothing here waits for a lock that the thread may
 * hold itself, or for one whose holder may wait for such a lock. The mover's lock and that of the class are only tried
 * when they are taken first. Under the mover's lock no fork begins, and nobody else has two locks of classes; a holder
 * of the class's lock waits for those of space and of metadata at most, and these are tried beforehand: if this thread
 * holds one of them nothing is done. So later it may wait for all three. */
#include "compaction/compact_impl.h"
#include "os/meta.h"
#include "segments/segment.h"

static bool is_free(tmi_lock_t *lock)
{
    bool got = tmi_trylock(lock);
    if (got)
        tmi_unlock(lock);
    return got;
}

/* False: the kernel refuses it. */
static bool fence(const tm_pins_t_ *self)
{
    if (tmi_pin_alone(self) || !tmi_pin_asymmetric()) { // as in tmi_compact_fence
        tmi_own_add(&tmi_compact_figures.fences_none, 1);
        return true;
    }
    if (tmi_os_fence(TMI_FENCE_EXPEDITED) != 0) // as mover_fence
        return false;
    tmi_own_add(&tmi_compact_figures.fences_expedited, 1);
    return true;
}

/* The marked object to its new place, unless it is in use. */
static void move_marked(batch_t *b, entry_t *e, const tm_pins_t_ *self)
{
    static const tmi_compact_limits_t none = {.deadline_ns = TMI_COMPACT_NO_DEADLINE};
    bool fenced = fence(self);
    if (fenced)
        tmi_batch_sort_out(b);
    if (!fenced || tmi_pin_scopes_open()) {
        tmi_entry_give_up(b, e);
        return;
    }
    (void)tmi_batch_copy(b, &none);
    b->cursor = b->offset = 0;
    (void)tmi_batch_publish(b, &none);
}

static void move_apart(const tm_pins_t_ *self, tm_handle_t h)
{
    void *at;
    tmi_movable_move_t move;
    bool live = tmi_pin_touch(h, &at); // which takes a mark away that the batch under way has set
    unsigned cls = live ? tmi_movable_class(at) : TMI_MCLASS_NONE;
    if (cls < TMI_MCLASS_FIRST || cls > TMI_MCLASS_LAST || !tmi_movable_begin_apart(cls, at, &move))
        return;
    entry_t e = {0};
    source_t s = {.slab = move.slab};
    batch_t b = {.nsources = 1, .sources = &s, .entries = &e};
    tmi_batch_mark_slot(&b, &s, (uint32_t)tmi_mslot_index(move.slab, at));
    tmi_own_add(&tmi_compact_figures.marked, b.n);
    e.to = move.to;
    if (b.n == 1)
        move_marked(&b, &e, self);
    else
        tmi_movable_return(cls, &e.to, 1); // freed or moved just now
    tmi_movable_end_apart(&move);
}

void tmi_compact_set_apart(const tm_pins_t_ *self, tm_handle_t h)
{
    if (!tmi_lock_none_here() || !is_free(&tmi_space_lock) || !is_free(&tmi_meta_lock) ||
        !tmi_trylock(&tmi_compact_lock))
        return;
    if (tmi_compact_may_move())
        move_apart(self, h);
    tmi_unlock(&tmi_compact_lock);
}
