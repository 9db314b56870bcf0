/* pin.h - pins, scopes and locks: the side of the mutators that is not inlined, and the mover's look at them.
 *
 * The inlined paths, the record and invariants P1-P4 are in <tinymem/pin.h>. The argument why it is safe is in pin.md,
 * and a model in tests/model. In short: pin writes a slot and then reads the word; the mover marks the
 * word, fences for both sides, and then reads the slots. At least one sees the other. If pin sees the mark it takes it
 * away, and the mover's publishing compare-and-swap fails; if the mover sees the slot, it takes the mark away itself.
 * Nobody waits.
 *
 * A record is in the list from the moment that it is made, and stays there for the next thread that uses it.
 *
 * P5  registered counts the threads that use handles now. A thread counts itself, with a full fence, before its first
 *     pin; so a mover that has marked, fenced for itself, and then finds itself alone need not fence for others (see
 *     tmi_pin_alone).
 * P6  A lock is counted in the attributes of the slot where the object is, under a pin; the mover reads the count after
 *     the slots, so that a pin seen ended implies a count seen raised.
 *
 * P7  A thread that holds more pins than its record has slots for has a second stack (pin_more.c). Handles stay in
 *     the stack that they were pushed on. While the second holds any, none is pushed on the first (limit is 0), and
 *     on top of that lies a guard, which equals no handle, so that no pin of it ends where one of the second should.
 *     Therefore a signal handler's pins and unpins leave both as they were, wherever it comes.
 *
 * Where the asymmetric fence is missing, limit is 0, every pin and scope takes the slow path with a full fence of its
 * own, and the mover needs no other than its own.
 *
 * Locks: none; every function here may run in a signal handler. */
#ifndef TMI_COMPACTION_PIN_H
#define TMI_COMPACTION_PIN_H

#include "slabs/handle.h"

/* Enter a new record into the list that the mover walks, once. */
void tmi_pin_list(tm_pins_t_ *r);
/* Make a record usable for its thread, which calls this before each slow path. */
void tmi_pin_enter(tm_pins_t_ *r);
/* The thread ends. Returns how many pins and open scopes it leaves; they are dropped. */
size_t tmi_pin_leave(tm_pins_t_ *r);

/* Whether the asymmetric fence works: set before the first record is entered. */
void tmi_pin_set_asymmetric(bool on);
bool tmi_pin_asymmetric(void);
/* It works no longer: from now on each pin and scope has a fence of its own, when a last full fence of all threads,
 * which is the caller's matter, has ended those that had begun without. */
void tmi_pin_end_asymmetric(void);

/* Threads that use handles now. */
size_t tmi_pin_registered(void);

/* Slow path of a pin. False when h is stale: it is pinned all the same, and *address is NULL; or when there is no
 * memory for one more pin: *address is not NULL. */
bool tmi_pin_slowly(tm_pins_t_ *r, tm_handle_t h, void **address);
/* A word was found marked or stale: takes a mark away. False when h is stale. */
bool tmi_pin_touch(tm_handle_t h, void **address);
/* End a pin, the youngest of h. False: there is none. */
bool tmi_pin_remove(tm_pins_t_ *r, tm_handle_t h);
/* How many pins there are. */
uint32_t tmi_pin_mark(const tm_pins_t_ *r);
/* End all pins but the first `mark` ones. False: there are not so many. */
bool tmi_pin_reset(tm_pins_t_ *r, uint32_t mark);
/* Slot i (> 0) of the second stack. NULL: there is none, or with `make` no memory for it. */
tm_handle_t *tmi_pin_more_slot(tm_pins_t_ *r, uint32_t i, bool make);
void tmi_pin_scope_enter(tm_pins_t_ *r);
/* End all scopes but the first `mark` ones. False: there are not so many. */
bool tmi_pin_scope_reset(tm_pins_t_ *r, uint32_t mark);

/* Whether this thread has h pinned. */
bool tmi_pin_held(const tm_pins_t_ *r, tm_handle_t h);
#if TMI_CHECK
/* Whether this thread has an object pinned that lies in these bytes. */
bool tmi_pin_within(const tm_pins_t_ *r, const char *from, size_t nbytes);
#endif
/* Whether another thread has: a look, for check:full. */
bool tmi_pin_held_by_others(const tm_pins_t_ *self, tm_handle_t h);

/* Count a lock at an object that the caller has pinned: 0, ENOMEM, or EOVERFLOW when it has as many as can be
 * counted. */
int tmi_pin_lock(const void *object);
/* False: it was not locked. `pinned`: the caller has pinned it too, and so its slab can be told when it has no locks
 * any more. */
bool tmi_pin_unlock(const void *object, bool pinned);
uint32_t tmi_pin_locks(const void *object);
/* ---- the mover's side -------------------------------------------------------------------------------------------- */

/* After marking: whether nobody but `self` (NULL: a thread without handles) can hold a pin. Fences for the caller. */
bool tmi_pin_alone(const tm_pins_t_ *self);

/* After the fence: take the mark away from every word that a slot names, and note open scopes. Returns how many
 * marks. */
size_t tmi_pin_scan(uint64_t now_ns);

/* Whether a scope that was open at the scan still is. */
bool tmi_pin_scopes_open(void);

/* Whether any thread has a pin or an open scope now; *look changes when these change. A look without order, for who
 * waits until they do. */
bool tmi_pin_look(uint64_t *look);

/* Figures: pins of all threads now; since when the oldest of them has been seen by a scan (0: none). */
size_t tmi_pin_count(void);
uint64_t tmi_pin_oldest(void);

#if TMI_TEST_HOOKS
/* Control: the protocol without the abort; who finds a mark leaves it set. */
extern bool tmi_pin_no_abort;
/* The most rounds of a loop that a mutator has run because the mover changes words: 1 but where the mover came between
 * a load and a swap. */
extern uint32_t tmi_pin_most_rounds;
#define TMI_COUNT_ROUNDS(n) \
    (tmi_load_relaxed(&tmi_pin_most_rounds) < (n) ? tmi_store_relaxed(&tmi_pin_most_rounds, n) : (void)0)
#else
#define TMI_COUNT_ROUNDS(n) ((void)(n))
#endif

/* In a child of fork: pins and scopes of the threads that are gone are dropped. */
void tmi_pin_forget_others(tm_pins_t_ *self);

#endif
