#include "motion/pin.h"

static tm_pins_t_ *records; // newest first; only grows
static size_t registered;   // P5
static bool asymmetric;     // set once, before the first record is entered

void tmi_pin_set_asymmetric(bool on) { tmi_store_relaxed(&asymmetric, on); } // relaxed: under the caller's once
bool tmi_pin_asymmetric(void) { return tmi_load_relaxed(&asymmetric); }
size_t tmi_pin_registered(void) { return tmi_load_relaxed(&registered); }

static void list(tm_pins_t_ *r)
{
    tm_pins_t_ *head = tmi_load_relaxed(&records); // relaxed: the compare-and-swap decides
    do
        r->next_ = head;
    while (!tmi_cas_release(&records, &head, r)); // next_ before the record is seen; pairs: the walks below
}

void tmi_pin_enter(tm_pins_t_ *r)
{
    if (r->capacity_ != 0)
        return;
    if (r->slot[0] == TMI_PIN_UNLISTED) { // never used before
        r->slot[0] = TM_PIN_GUARD_;
        list(r);
    }
    r->capacity_ = TM_PIN_SLOTS_ - TMI_PIN_HANDLER_SLOTS;
    (void)tmi_add_relaxed(&registered, 1); // [model: attach_count] relaxed: the fence below orders it
    tmi_fence_full();                      // [model: attach_fence] counted before the first slot and word; pairs: mover_alone
    r->limit = tmi_pin_asymmetric() ? r->capacity_ : 0;
}

size_t tmi_pin_leave(tm_pins_t_ *r)
{
    if (r->capacity_ == 0)
        return 0;
    size_t left = r->top + (r->scope & 0xffff) + r->overflow_;
    tmi_store_release(&r->scope, (r->scope | 0xffff) + 1); // as its exits would have; pairs: scan_scope
    tmi_store_release(&r->top, 0);                         // pairs: scan_top
    tmi_store_relaxed(&r->overflow_, 0); // statistics read it
    r->limit = r->capacity_ = 0;
    (void)tmi_sub_release(&registered, 1); // our accesses before we are not counted; pairs: mover_alone
    return left;
}

#if TMI_TEST_HOOKS
bool tmi_pin_no_abort;
uint32_t tmi_pin_most_rounds;
#endif

/* ---- slow paths of mutators ------------------------------------------------------------------------------------------------- */

/* Few rounds: the word changes under us only when the mover marks it, publishes it, or takes its mark away, and it marks an
 * object once a batch, at whose fence our slot or scope is seen. */
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
        if ((w & TMI_WORD_MOVING) == 0 || tmi_cas_acq_rel(tm_word_of_(h), &w, w & ~TMI_WORD_MOVING)) { // [model: touch_abort]
            *address = tm_word_address_(w);
            return true;
        }
    }
    *address = NULL;
    return false;
}

/* Slot t + 1 holds h, and that is visible to all before the word is read. */
static void push_fenced(tm_pins_t_ *r, uint32_t t, tm_handle_t h)
{
    tmi_store_relaxed(&r->top, t + 1); // as in tm_pin
    tmi_fence_signal();
    tmi_store_release(&r->slot[t + 1], h);
    tmi_fence_full();
}

/* The stack is full: the pin becomes a lock, taken under a pin in one of the slots beyond limit. */
static bool pin_by_count(tm_pins_t_ *r, tm_handle_t h, void **address)
{
    uint32_t t = r->top;
    if (t >= TM_PIN_SLOTS_)
        return false;
    push_fenced(r, t, h);
    bool ok = tmi_pin_touch(h, address);
    if (ok && *address != NULL)
        ok = tmi_pin_lock(*address) == 0; // [model: overflow_count]
    tmi_store_release(&r->top, t);
    if (ok)
        tmi_own_add(&r->overflow_, 1);
    return ok;
}

bool tmi_pin_slowly(tm_pins_t_ *r, tm_handle_t h, void **address)
{
    uint32_t t = r->top;
    if (t >= r->capacity_)
        return pin_by_count(r, h, address);
    push_fenced(r, t, h);
    return tmi_pin_touch(h, address);
}

static bool remove_counted(tm_pins_t_ *r, tm_handle_t h)
{
    if (r->overflow_ == 0)
        return false;
    uint64_t w = tmi_load_acquire(tm_word_of_(h)); // locked, so the address holds
    if (h != TM_NULL && !tmi_pin_unlock(tm_word_address_(w), false))
        return false;
    tmi_own_add(&r->overflow_, -1u);
    return true;
}

bool tmi_pin_remove(tm_pins_t_ *r, tm_handle_t h)
{
    uint32_t t = r->top, i = t;
    while (i > 0 && r->slot[i] != h)
        i--;
    if (i == 0)
        return remove_counted(r, h);
    if (i < t)
        tmi_store_release(&r->slot[i], r->slot[t]); // [model: unpin_move] downwards, P2, before top falls; pairs: scan_slot
    tmi_store_release(&r->top, t - 1);
    return true;
}

void tmi_pin_scope_enter(tm_pins_t_ *r)
{
    tmi_store_release(&r->scope, r->scope + 1); // as in tm_scope_enter
    tmi_fence_full();
}

bool tmi_pin_held(const tm_pins_t_ *r, tm_handle_t h)
{
    for (uint32_t i = r->top; i > 0; i--)
        if (r->slot[i] == h)
            return true;
    return false;
}

static uint32_t top_of(const tm_pins_t_ *r) { return (uint32_t)tmi_min(tmi_load_acquire(&r->top), TM_PIN_SLOTS_); }

bool tmi_pin_held_by_others(const tm_pins_t_ *self, tm_handle_t h)
{
    for (const tm_pins_t_ *r = tmi_load_acquire(&records); r != NULL; r = r->next_)
        for (uint32_t i = r == self ? 0 : top_of(r); i > 0; i--)
            if (tmi_load_acquire(&r->slot[i]) == h)
                return true;
    return false;
}

/* ---- the mover's side ------------------------------------------------------------------------------------------------------- */

bool tmi_pin_alone(const tm_pins_t_ *self)
{
    tmi_fence_full(); // marks before the count; pairs: attach_fence
    size_t mine = self != NULL && self->capacity_ != 0;
    return tmi_load_acquire(&registered) == mine; // [model: mover_alone]
}

static bool unmark(tm_handle_t h)
{
    if (tmi_handle_index(h) > tmi_handle_limit())
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
        uint32_t top = top_of(r);           // [model: scan_top] pairs: unpin_top
        for (uint32_t i = top; i > 0; i--)  // downwards, P2
            n += unmark(tmi_load_acquire(&r->slot[i])); // [model: scan_slot] pairs: pin_slot, unpin_move
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

size_t tmi_pin_count(void)
{
    size_t n = 0;
    for (const tm_pins_t_ *r = tmi_load_acquire(&records); r != NULL; r = r->next_)
        n += tmi_load_relaxed(&r->top) + tmi_load_relaxed(&r->overflow_); // a statistic
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
    registered = 0; // one thread here: plain accesses
    for (tm_pins_t_ *r = records; r != NULL; r = r->next_) {
        r->seen_scope_ = 0;
        if (r == self) {
            registered += r->capacity_ != 0;
            continue;
        }
        r->scope = (r->scope | 0xffff) + 1;
        r->top = r->limit = r->capacity_ = r->overflow_ = 0;
    }
}
