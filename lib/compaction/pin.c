#include "compaction/pin.h"

static tm_pins_t_ *records; // newest first; only grows
static size_t registered;   // P5
static bool asymmetric;     // set before the first record is entered; may be cleared later

void tmi_pin_set_asymmetric(bool on) { tmi_store_relaxed(&asymmetric, on); } // relaxed: under the caller's once
bool tmi_pin_asymmetric(void) { return tmi_load_relaxed(&asymmetric); }
size_t tmi_pin_registered(void) { return tmi_load_relaxed(&registered); }

void tmi_pin_add_record(tm_pins_t_ *r)
{
    tm_pins_t_ *head = tmi_load_relaxed(&records); // relaxed: the compare-and-swap decides
    do
        r->next_ = head;
    while (!tmi_cas_release(&records, &head, r)); // next_ before the record is seen; pairs: the walks below
}

/* Let the thread pin without a fence of its own, as long as the asymmetric fence works. tmi_pin_end_asymmetric clears
 * the flag before the limits. So either this function sees the flag cleared, or that one clears this limit
 * afterwards. */
static void allow_quick_pins(tm_pins_t_ *r)
{
    tmi_store_relaxed(&r->limit, r->capacity_ - 1); // P7: one slot is left for the guard
    tmi_fence_full(); // the limit before the flag
    if (!tmi_pin_asymmetric())
        tmi_store_relaxed(&r->limit, 0);
}

void tmi_pin_end_asymmetric(void)
{
    tmi_store_relaxed(&asymmetric, false);
    tmi_fence_full(); // the flag before the limits; pairs: allow_quick_pins
    // pairs: tmi_pin_add_record; a record that enters the list later sees the flag cleared
    for (tm_pins_t_ *r = tmi_load_acquire(&records); r != NULL; r = r->next_)
        tmi_store_relaxed(&r->limit, 0);
}

/* A signal handler may interrupt this anywhere and enter the record itself. The thread is counted before its record
 * says that it has entered. For a moment it may be counted twice; the mover then fences unnecessarily. */
static void enter(tm_pins_t_ *r)
{
    uint32_t outside = 0;
    (void)tmi_add_relaxed(&registered, 1); // [model: attach_count] relaxed: the fence below orders it
    // [model: attach_fence] counted before the first slot and word; pairs: mover_alone
    tmi_fence_full();
    if (!tmi_cas_relaxed(&r->capacity_, &outside, TM_PIN_SLOTS_)) // relaxed: only this thread and its handlers store it
        (void)tmi_sub_release(&registered, 1);                   // a handler has counted the thread already
}

void tmi_pin_enter(tm_pins_t_ *r)
{
    if (r->capacity_ == 0)
        enter(r);
    if (r->limit == 0 && r->overflow_ == 0 && tmi_pin_asymmetric())
        allow_quick_pins(r);
}

/* Whether the guard lies on the first stack, P7. */
static bool guarded(const tm_pins_t_ *r) { return r->top > 0 && r->slot[r->top] == TM_PIN_GUARD_; }

/* Relaxed: for other threads it is a statistic. */
static size_t pins_of(const tm_pins_t_ *r)
{
    uint32_t more = tmi_load_relaxed(&r->overflow_);
    return tmi_load_relaxed(&r->top) - (more > 0) + more;
}

size_t tmi_pin_leave(tm_pins_t_ *r)
{
    if (r->capacity_ == 0)
        return 0;
    size_t left = pins_of(r) + (r->scope & 0xffff);
    tmi_store_release(&r->scope, (r->scope | 0xffff) + 1); // as tm_scope_exit does; pairs: scan_scope
    tmi_store_release(&r->top, 0);                         // pairs: scan_top
    tmi_store_release(&r->overflow_, 0);                   // the same
    tmi_store_relaxed(&r->limit, 0);
    r->capacity_ = 0;
    (void)tmi_sub_release(&registered, 1); // our accesses before we are not counted; pairs: mover_alone
    return left;
}

#if TMI_TEST_HOOKS
bool tmi_pin_no_abort;
uint32_t tmi_pin_most_rounds;
#endif

/* ---- slow paths of mutators -------------------------------------------------------------------------------------- */

/* The loop takes few rounds. The word changes meanwhile only if the mover marks it, publishes it, or clears its
 * mark. The mover marks an object once a batch, and sees our slot or scope after the fence of that batch. */
bool tmi_pin_touch(tm_handle_t h, void **address)
{
    uint64_t w = tmi_load_acquire(tm_word_of_(h)); // pairs: mover_publish
    bool formed = h == TM_NULL || tmi_handle_formed(h);
    uint32_t rounds = 0;
#if TMI_TEST_HOOKS
    if (tmi_pin_no_abort && formed && tm_word_differs_(w & ~TMI_WORD_MOVING, h) == 0) {
        *address = tm_word_address_(w);
        return true;
    }
#endif
    while (formed && tm_word_differs_(w & ~TMI_WORD_MOVING, h) == 0) {
        TMI_COUNT_ROUNDS(++rounds);
        // [model: touch_abort]
        if ((w & TMI_WORD_MOVING) == 0 || tmi_cas_acq_rel(tm_word_of_(h), &w, w & ~TMI_WORD_MOVING)) {
            *address = tm_word_address_(w);
            return true;
        }
    }
    *address = NULL;
    return false;
}

/* Push h into `slot`, the next one of the stack that ends at `top`. All threads see that before the caller reads the
 * word. */
static void push_fenced(uint32_t *top, tm_handle_t *slot, tm_handle_t h)
{
    tmi_own_add(top, 1); // as in tm_pin
    tmi_fence_signal();
    tmi_store_release(slot, h);
    tmi_fence_full();
}

/* Called after the second stack has got a pin. A handler that interrupts this then leaves a guard there, which is
 * pushed again in the same place. */
static void push_guard(tm_pins_t_ *r)
{
    uint32_t t = r->top;
    if (t > 0 && r->slot[t] == TM_PIN_GUARD_)
        return;
    tmi_store_release(&r->slot[t + 1], TM_PIN_GUARD_); // no handle: no unpin looks for it
    tmi_store_release(&r->top, t + 1);
}

bool tmi_pin_slowly(tm_pins_t_ *r, tm_handle_t h, void **address)
{
    if (r->overflow_ == 0 && r->top < r->capacity_ - 1) {
        push_fenced(&r->top, &r->slot[r->top + 1], h);
        return tmi_pin_touch(h, address);
    }
    tm_handle_t *slot = tmi_pin_more_slot(r, r->overflow_ + 1, true);
    *address = r; // not NULL, which says that h is not stale
    if (slot == NULL)
        return false;
    push_fenced(&r->overflow_, slot, h);
    push_guard(r);
    tmi_store_relaxed(&r->limit, 0);
    return tmi_pin_touch(h, address);
}

/* Use the first stack again, since the second is empty. A handler may interrupt this at any instant, and may do the
 * same first. */
static void leave_second(tm_pins_t_ *r)
{
    if (r->overflow_ != 0)
        return;
    uint32_t t = r->top;
    if (t > 0 && r->slot[t] == TM_PIN_GUARD_)
        tmi_store_release(&r->top, t - 1);
    if (tmi_pin_asymmetric())
        allow_quick_pins(r);
}

/* End a pin of the second stack. As in the first, the top handle moves down into the hole. */
static bool remove_more(tm_pins_t_ *r, tm_handle_t h)
{
    uint32_t t = r->overflow_, i = t;
    while (i > 0 && *tmi_pin_more_slot(r, i, false) != h)
        i--;
    if (i == 0)
        return false;
    if (i < t)
        tmi_store_release(tmi_pin_more_slot(r, i, false), *tmi_pin_more_slot(r, t, false)); // as unpin_move
    tmi_store_release(&r->overflow_, t - 1); // as unpin_top
    leave_second(r);
    return true;
}

bool tmi_pin_remove(tm_pins_t_ *r, tm_handle_t h)
{
    if (remove_more(r, h)) // its pins are newer
        return true;
    bool guard = guarded(r);
    uint32_t t = r->top, last = t - guard, i = last;
    while (i > 0 && r->slot[i] != h)
        i--;
    if (i == 0)
        return false;
    if (i < last) // [model: unpin_move] downwards, P2, before top falls; pairs: scan_slot
        tmi_store_release(&r->slot[i], r->slot[last]);
    if (guard)
        tmi_store_release(&r->slot[last], TM_PIN_GUARD_); // its handle has moved down
    tmi_store_release(&r->top, t - 1);
    return true;
}

uint32_t tmi_pin_depth(const tm_pins_t_ *r) { return (uint32_t)pins_of(r); }

bool tmi_pin_reset(tm_pins_t_ *r, uint32_t mark)
{
    uint32_t more = r->overflow_, first = r->top - guarded(r);
    if (mark > first + more)
        return false;
    tmi_store_release(&r->overflow_, mark > first ? mark - first : 0); // as unpin_top; the newer ones first
    if (mark < first)
        tmi_store_release(&r->top, mark);
    if (more > 0)
        leave_second(r);
    return true;
}

void tmi_pin_scope_enter(tm_pins_t_ *r)
{
    tmi_store_release(&r->scope, r->scope + 1); // as in tm_scope_enter
    tmi_fence_full();
}

bool tmi_pin_scope_reset(tm_pins_t_ *r, uint32_t mark)
{
    uint64_t s = r->scope, depth = s & 0xffff;
    if (mark >= depth)
        return mark == depth;
    // as that many calls of tm_scope_exit; pairs: scan_scope
    tmi_store_release(&r->scope, mark == 0 ? (s | 0xffff) + 1 : s - (depth - mark));
    return true;
}

static uint32_t top_of(const tm_pins_t_ *r) { return (uint32_t)tmi_min(tmi_load_acquire(&r->top), TM_PIN_SLOTS_); }

/* The handle in slot i, counted through the first stack and then the second. Any thread. If the mover does not see the
 * second stack yet, the pin that makes it has its fence after the mover's. That pin sees the mark. */
static tm_handle_t handle_in(const tm_pins_t_ *r, uint32_t top, uint32_t i)
{
    const tm_handle_t *slot = i <= top ? &r->slot[i] : tmi_pin_more_slot((tm_pins_t_ *)(uintptr_t)r, i - top, false);
    return slot == NULL ? TM_NULL : tmi_load_acquire(slot); // [model: scan_slot] pairs: pin_slot, unpin_move
}

static bool holds(const tm_pins_t_ *r, tm_handle_t h)
{
    uint32_t top = top_of(r);
    for (uint32_t i = top + tmi_load_acquire(&r->overflow_); i > 0; i--)
        if (handle_in(r, top, i) == h)
            return true;
    return false;
}

bool tmi_pin_held(const tm_pins_t_ *r, tm_handle_t h) { return holds(r, h); }

#if TMI_CHECK
bool tmi_pin_within(const tm_pins_t_ *r, const char *from, size_t nbytes)
{
    uint32_t top = top_of(r);
    for (uint32_t i = top + r->overflow_; i > 0; i--) {
        tm_handle_t h = handle_in(r, top, i);
        // relaxed: the object is pinned, so its address does not change
        uint64_t w = tmi_handle_formed(h) ? tmi_load_relaxed(tm_word_of_(h)) : 0;
        if ((size_t)(tmi_word_address(w) - from) < nbytes)
            return true;
    }
    return false;
}
#endif

bool tmi_pin_held_by_others(const tm_pins_t_ *self, tm_handle_t h)
{
    for (const tm_pins_t_ *r = tmi_load_acquire(&records); r != NULL; r = r->next_)
        if (r != self && holds(r, h))
            return true;
    return false;
}

/* ---- the mover's side -------------------------------------------------------------------------------------------- */

bool tmi_pin_alone(const tm_pins_t_ *self)
{
    tmi_fence_full(); // marks before the count; pairs: attach_fence
    size_t mine = self != NULL && self->capacity_ != 0;
    return tmi_load_acquire(&registered) == mine; // [model: mover_alone]
}

static bool unmark(tm_handle_t h)
{
    if (!tmi_handle_readable(tmi_handle_index(h)))
        return false;
    uint64_t *word = tm_word_of_(h), w = tmi_load_relaxed(word); // relaxed: the compare-and-swap decides
    while (w & TMI_WORD_MOVING)
        if (tmi_cas_relaxed(word, &w, w & ~TMI_WORD_MOVING)) // [model: scan_unmark]
            return true;
    return false;
}

static void note_age(tm_pins_t_ *r, uint32_t top, uint64_t now_ns)
{
    tm_handle_t lowest = top > 0 ? tmi_load_acquire(&r->slot[1]) : TM_NULL;
    if (lowest == r->seen_pin_)
        return;
    r->seen_pin_ = lowest;
    tmi_store_relaxed(&r->seen_since_, lowest == TM_NULL ? 0 : now_ns); // statistics read it
}

size_t tmi_pin_scan(uint64_t now_ns)
{
    size_t n = 0;
    for (tm_pins_t_ *r = tmi_load_acquire(&records); r != NULL; r = r->next_) { // pairs: list
        uint32_t top = top_of(r); // [model: scan_top] pairs: unpin_top
        // downwards, P2; no handle moves from one stack to the other
        for (uint32_t i = top + tmi_load_acquire(&r->overflow_); i > 0; i--)
            n += unmark(handle_in(r, top, i));
        uint64_t s = tmi_load_acquire(&r->scope);       // [model: scan_scope] pairs: scope_enter, scope_exit
        r->seen_scope_ = (s & 0xffff) != 0 ? s : 0;
        note_age(r, top, now_ns);
    }
    return n;
}

bool tmi_pin_scopes_open(void)
{
    bool open = false;
    for (tm_pins_t_ *r = tmi_load_acquire(&records); r != NULL; r = r->next_) {
        if (r->seen_scope_ == 0)
            continue;
        uint64_t s = tmi_load_acquire(&r->scope); // pairs: scope_exit
        if ((s & 0xffff) != 0 && s >> 16 == r->seen_scope_ >> 16)
            open = true;
        else
            r->seen_scope_ = 0;
    }
    return open;
}

bool tmi_pin_look(uint64_t *look)
{
    bool held = false;
    *look = 0;
    for (const tm_pins_t_ *r = tmi_load_acquire(&records); r != NULL; r = r->next_) {
        // relaxed: a change may be seen later
        uint64_t top = top_of(r), more = tmi_load_relaxed(&r->overflow_), scope = tmi_load_relaxed(&r->scope);
        held |= top + more > 0 || (scope & 0xffff) != 0;
        *look = (*look ^ scope ^ top << 20 ^ more << 40 ^ tmi_load_relaxed(&r->slot[top])) * 0x9e3779b97f4a7c15;
    }
    return held;
}

size_t tmi_pin_count(void)
{
    size_t n = 0;
    for (const tm_pins_t_ *r = tmi_load_acquire(&records); r != NULL; r = r->next_)
        n += pins_of(r);
    return n;
}

uint64_t tmi_pin_oldest(void)
{
    uint64_t oldest = 0;
    for (const tm_pins_t_ *r = tmi_load_acquire(&records); r != NULL; r = r->next_) {
        uint64_t since = tmi_load_relaxed(&r->seen_since_); // a statistic
        if (since != 0 && tmi_load_relaxed(&r->top) > 0 && (oldest == 0 || since < oldest))
            oldest = since;
    }
    return oldest;
}

void tmi_pin_forget_others(tm_pins_t_ *self)
{
    registered = 0; // plain accesses: the process has one thread
    for (tm_pins_t_ *r = records; r != NULL; r = r->next_) {
        r->seen_scope_ = 0;
        if (r == self) {
            registered += r->capacity_ != 0;
            continue;
        }
        r->scope = (r->scope | 0xffff) + 1;
        r->top = r->limit = r->capacity_ = r->overflow_ = 0; // the child does not have their threads
    }
}
