/* Before an object is locked it moves to a slab that is set apart: a slab of its class that holds locked objects only.
 * Otherwise a lock that lasts as long as the program would keep one page of an ordinary slab in place.
 *
 * The move is a batch of one object (compact.h). The thread that locks executes all of its steps under the mover's
 * lock. Another batch may be under way and have marked the object. B1 holds for that batch: after this move the
 * object's word has no mark, or another address, so the other batch's publishing fails. If the object is in use, or a
 * scope is open, the object stays.
 *
 * A signal handler may lock objects, whatever code it has interrupted. So nothing here waits for a lock that the thread
 * may hold itself, or for a lock whose holder may wait for such a lock. The mover's lock and the class's lock are only
 * tried when they are taken first. While this thread holds the mover's lock, no fork begins, and no other thread holds
 * two locks of classes. A holder of the class's lock waits at most for the locks of space and of metadata. These two
 * are tried beforehand: if the thread itself holds one of them, the object is not moved. From then on the thread may
 * wait for all three. */
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

/* False: the kernel refuses the fence. */
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

/* Move the marked object to its new place, unless it is in use. */
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
    bool live = tmi_pin_touch(h, &at); // clears a mark that the batch under way has set
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
        tmi_movable_return(cls, &e.to, 1); // the object was freed or moved meanwhile
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
