/* object.h - the movable heap as one piece: objects by handle.
 *
 *   tm_alloc ── fast ─→ magazine of bound handles ── live bit set ─→ handle
 *        └─ slow ─→ slots and indices from the stores; over 64 KiB: an extent; then flush, compact, and once more
 *   tm_free  ── compare-and-swap of the word ─→ magazine ─→ stores
 *
 * O1  Between its compare-and-swap and the magazine a freed object belongs to the thread that freed it, and to nobody
 *     else, whoever raced.
 * O2  A resize replaces the address in the word by a compare-and-swap under a pin of its own, and so takes a mark away.
 *     The slot that came with another index and the old slot change places between the two indices.
 *
 * Misuse is reported in the name of the function that was called. Failure is TM_NULL with errno ENOMEM. */
#ifndef TMI_HEAP_OBJECT_H
#define TMI_HEAP_OBJECT_H

#include "threads/thread.h"

/* The same for a function that does not end with the call; `frame`: see tmi_stack_capture. */
tm_handle_t tmi_object_alloc_for(size_t size, size_t align, bool zero, void *frame) TMI_NOINLINE;
tm_handle_t tmi_object_alloc(size_t size, size_t align, bool zero) TMI_NOINLINE;
tm_handle_t tmi_object_realloc(tm_handle_t h, size_t size) TMI_NOINLINE;
/* A live object in the slab of `near`. TM_NULL: there is no room in it, or `near` is stale, which is reported. */
tm_handle_t tmi_object_alloc_near(tm_handle_t near, size_t size) TMI_NOINLINE;
/* Returns how many were visited. */
size_t tmi_object_each(bool (*visit)(tm_handle_t h, void *context), void *context);
/* The slow path of tm_free, from the start. */
void tmi_object_free(tm_handle_t h) TMI_NOINLINE;

/* The object at p is no more: its slot goes to the magazine with the index of `next`, its next handle. `last`: there is
 * no next one, the index has had all its lives. */
void tmi_object_put(char *p, tm_handle_t next, bool last);

/* Slow paths of the functions that pin.h inlines. */
void *tmi_object_pin(tm_handle_t h, const char *function);
/* As tmi_object_pin, but NULL leaves nothing pinned and nothing is reported. */
void *tmi_object_try_pin(tm_handle_t h);
/* The word of what this thread has just pinned was not what the handle says: as tmi_object_touch, or the pin ends. */
void *tmi_object_try_touch(tm_handle_t h);
void *tmi_object_touch_ref(tm_ref_t r, const char *function);
/* The handle that the reference's index has now. TM_NULL when it is free, which is reported, and for 0. */
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

/* A pin stack back to `mark`. */
void tmi_object_pin_reset(uint32_t mark);
/* The number of open scopes back to `mark`. */
void tmi_object_scope_reset(uint32_t mark);

/* Every tm_alloc and tm_free takes the slow path, where sampled objects are entered and forgotten; or no longer. */
void tmi_object_watch(bool on) TMI_COLD;

/* tm_compact and tm_compact_step. */
size_t tmi_object_compact(void);
bool tmi_object_compact_step(unsigned budget_us);

/* The share of usable bytes that size classes add to what is asked for, estimated from the requests that took the slow
 * path. */
double tmi_object_rounding(void);

/* The movable heap has been used: its table and maps are there. */
bool tmi_object_ready(void);

/* For the two functions above; layout.h tells tools where they lie. */
extern size_t tmi_object_asked, tmi_object_given; // bytes of requests that took the slow path. Relaxed: statistics
extern uint32_t tmi_object_tables;                // 1 when the tables are there

#endif
