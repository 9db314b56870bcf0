/* object.h - the movable heap as a whole: objects by handle.
 *
 *   tm_alloc ── fast ─→ magazine of reserved handles ── live bit set ─→ handle
 *        └─ slow ─→ slots and indices from the stores; over 64 KiB: an extent; then flush, compact, and once more
 *   tm_free  ── compare-and-swap of the word ─→ magazine ─→ stores
 *
 * O1  From its compare-and-swap until its slot is in a magazine, a freed object belongs to the thread that freed it,
 *     and to no other, even if several frees raced.
 * O2  A resize pins the object and replaces the address in its word by a compare-and-swap, which also clears a mark.
 *     The new slot came with another index; that index gets the old slot.
 *
 * Reports of misuse name the function that the program called. Failure is TM_NULL with errno ENOMEM. */
#ifndef TMI_HEAP_OBJECT_H
#define TMI_HEAP_OBJECT_H

#include "threads/thread.h"

/* The same for a caller that does more after the call. `frame`: see tmi_stack_capture. */
tm_handle_t tmi_object_alloc_for(size_t size, size_t align, bool zero, void *frame) TMI_NOINLINE;
tm_handle_t tmi_object_alloc(size_t size, size_t align, bool zero) TMI_NOINLINE;
tm_handle_t tmi_object_realloc(tm_handle_t h, size_t size) TMI_NOINLINE;
/* Allocate a live object in the slab of `near`. TM_NULL: the slab has no room, or `near` is stale, which is
 * reported. With a `frame` the object is counted for the samples. */
tm_handle_t tmi_object_alloc_near(tm_handle_t near, size_t size, void *frame) TMI_NOINLINE;
/* Returns how many objects were visited. */
size_t tmi_object_each(bool (*visit)(tm_handle_t h, void *context), void *context);
/* The slow path of tm_free. It repeats all of the fast path's checks. */
void tmi_object_free(tm_handle_t h) TMI_NOINLINE;

/* The object at p has been freed. Put its slot into the magazine, reserved for `next`, the next handle of its index.
 * `last`: the index has had all its generations, and has no next handle. */
void tmi_object_put(char *p, tm_handle_t next, bool last);

/* Slow paths of the functions that pin.h inlines. */
void *tmi_object_pin(tm_handle_t h, const char *function);
/* As tmi_object_pin, but a result of NULL means that nothing is pinned, and nothing is reported. */
void *tmi_object_try_pin(tm_handle_t h);
/* This thread has just pinned h, and the word differs from h. Does what tmi_object_touch does; if h is stale, the pin
 * ends. */
void *tmi_object_try_touch(tm_handle_t h);
void *tmi_object_touch_ref(tm_ref_t r, const char *function);
/* The handle that the reference's index has now. TM_NULL: the index is free, which is reported, or r is 0. */
tm_handle_t tmi_object_of_ref(tm_ref_t r, const char *function);
void tmi_object_unpin(tm_handle_t h);
void *tmi_object_touch(tm_handle_t h, const char *function);
void tmi_object_scope_enter(void);
_Noreturn void tmi_object_scope_misused(void);

void *tmi_object_lock(tm_handle_t h);
void tmi_object_unlock(tm_handle_t h);
size_t tmi_object_sizeof(tm_handle_t h);
bool tmi_object_check(tm_handle_t h, size_t size);
tm_handle_t tmi_object_of(const void *p);
tm_handle_t tmi_object_of_index(uint32_t index);

/* End all pins of this thread but the first `mark` ones. */
void tmi_object_pin_reset(uint32_t mark);
/* End all scopes of this thread but the first `mark` ones. */
void tmi_object_scope_reset(uint32_t mark);

/* Make every tm_alloc and tm_free take the slow path, which records and forgets sampled objects; or end that. */
void tmi_object_watch(bool on) TMI_COLD;

/* tm_compact and tm_compact_step. */
size_t tmi_object_compact(void);
bool tmi_object_compact_step(unsigned budget_us);

/* The share of usable bytes that size classes add to the requested ones. An estimate from requests that took the slow
 * path. */
double tmi_object_rounding(void);

/* Whether the movable heap has been used, and so has its table and maps. */
bool tmi_object_ready(void);

/* For the two functions above. layout.h tells tools where they lie. */
extern size_t tmi_object_asked, tmi_object_given; // bytes of requests that took the slow path. Relaxed: statistics
extern uint32_t tmi_object_tables;                // 1 when the tables have been made

#endif
