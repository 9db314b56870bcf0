/* pin.h - pins, scopes and locks: the mutators' slow paths, and the mover's scan.
 *
 * The inlined paths, the record and invariants P1-P4 are in <tinymem/pin.h>. pin.md argues why the protocol is safe,
 * and tests/model has a model of it. In short: a pin writes a slot and then reads the word. The mover marks the word,
 * fences for both sides, and then reads the slots. At least one of them sees the other. If the pin sees the mark, it
 * clears the mark, and the mover's publishing compare-and-swap fails. If the mover sees the slot, it clears the mark
 * itself. No thread waits.
 *
 * A record enters the list when it is made, and stays there for the next thread that uses it.
 *
 * P5  `registered` counts the threads that use handles now. A thread counts itself, with a full fence, before its first
 *     pin. So a mover that has marked, has fenced for itself, and then finds itself alone need not fence for others
 *     (see tmi_pin_alone).
 * P6  A lock is counted, under a pin, in the attributes of the slot where the object is. The mover reads the count
 *     after the pin slots. So if it sees that the pin has ended, it also sees the raised count.
 *
 * P7  A thread that holds more pins than its record has slots gets a second stack (pin_more.c). A handle stays on the
 *     stack on which it was pushed. While the second stack holds a handle, none is pushed on the first (limit is 0),
 *     and on top of the first lies a guard. The guard equals no handle, so an unpin does not end a pin of the first
 *     stack in place of one of the second. A signal handler's pins and unpins therefore leave both stacks as they were,
 *     whatever code the handler interrupts.
 *
 * Without the asymmetric fence, limit is 0. Every pin and scope then takes the slow path, with a full fence of its own,
 * and the mover fences for itself only.
 *
 * Locks: none; every function here may run in a signal handler. */
#ifndef TMI_COMPACTION_PIN_H
#define TMI_COMPACTION_PIN_H

#include "slabs/handle.h"

/* Enter a new record into the list that the mover walks. Once for each record. */
void tmi_pin_add_record(tm_pins_t_ *r);
/* Make a record ready for its thread, which calls this before each slow path. */
void tmi_pin_enter(tm_pins_t_ *r);
/* The thread ends: drop its pins and open scopes. Returns how many there were. */
size_t tmi_pin_leave(tm_pins_t_ *r);

/* Say whether the asymmetric fence works. Called before the first record is entered. */
void tmi_pin_set_asymmetric(bool on);
bool tmi_pin_asymmetric(void);
/* The asymmetric fence has stopped working: from now on each pin and scope has a fence of its own. Some may have begun
 * without. The caller makes all threads execute one last full fence, and these are then over. */
void tmi_pin_end_asymmetric(void);

/* How many threads use handles now. */
size_t tmi_pin_registered(void);

/* Slow path of a pin. False: either h is stale, which is pinned nevertheless, and *address is NULL; or there is no
 * memory for one more pin, and *address is not NULL. */
bool tmi_pin_slowly(tm_pins_t_ *r, tm_handle_t h, void **address);
/* For a word that is marked or stale: clear the mark. False: h is stale. */
bool tmi_pin_touch(tm_handle_t h, void **address);
/* End the newest pin of h. False: there is none. */
bool tmi_pin_remove(tm_pins_t_ *r, tm_handle_t h);
/* How many pins the thread holds. */
uint32_t tmi_pin_depth(const tm_pins_t_ *r);
/* End all pins but the first `mark` ones. False: the thread holds fewer. */
bool tmi_pin_reset(tm_pins_t_ *r, uint32_t mark);
/* Slot i (> 0) of the second stack. NULL: the slot does not exist; with `make`, there is no memory for it. */
tm_handle_t *tmi_pin_more_slot(tm_pins_t_ *r, uint32_t i, bool make);
void tmi_pin_scope_enter(tm_pins_t_ *r);
/* End all scopes but the first `mark` ones. False: fewer are open. */
bool tmi_pin_scope_reset(tm_pins_t_ *r, uint32_t mark);

/* Whether this thread has h pinned. */
bool tmi_pin_held(const tm_pins_t_ *r, tm_handle_t h);
#if TMI_CHECK
/* Whether this thread has pinned an object that lies in these bytes. */
bool tmi_pin_within(const tm_pins_t_ *r, const char *from, size_t nbytes);
#endif
/* Whether another thread has pinned h. Only a hint, for check:full. */
bool tmi_pin_held_by_others(const tm_pins_t_ *self, tm_handle_t h);

/* Add a lock to an object that the caller has pinned. Returns 0, ENOMEM, or EOVERFLOW if no more locks can be
 * counted. */
int tmi_pin_lock(const void *object);
/* Take a lock off. False: the object was not locked. `pinned`: the caller has also pinned it; then the slab is told
 * when the last lock ends. */
bool tmi_pin_unlock(const void *object, bool pinned);
uint32_t tmi_pin_locks(const void *object);
/* ---- the mover's side -------------------------------------------------------------------------------------------- */

/* After marking: whether no thread but `self` (NULL: a thread without handles) can hold a pin. Fences for the
 * caller. */
bool tmi_pin_alone(const tm_pins_t_ *self);

/* After the fence: clear the mark of every word that a pin slot names, and note open scopes. Returns the number of
 * marks. */
size_t tmi_pin_scan(uint64_t now_ns);

/* Whether a scope that was open at the scan is still open. */
bool tmi_pin_scopes_open(void);

/* Whether any thread has a pin or an open scope now. *look differs when pins or scopes have changed since. A hint
 * without memory order, for a thread that waits for a change. */
bool tmi_pin_look(uint64_t *look);

/* Figures: how many pins all threads hold; when a scan first saw the oldest of them (0: there is none). */
size_t tmi_pin_count(void);
uint64_t tmi_pin_oldest(void);

#if TMI_TEST_HOOKS
/* Control: the protocol without the abort. A thread that finds a mark leaves it set. */
extern bool tmi_pin_no_abort;
/* The most rounds of a loop that a mutator has run because the mover changes words. It is 1 unless the mover changed a
 * word between a mutator's load and compare-and-swap. */
extern uint32_t tmi_pin_most_rounds;
#define TMI_COUNT_ROUNDS(n) \
    (tmi_load_relaxed(&tmi_pin_most_rounds) < (n) ? tmi_store_relaxed(&tmi_pin_most_rounds, n) : (void)0)
#else
#define TMI_COUNT_ROUNDS(n) ((void)(n))
#endif

/* In a child of fork: drop the pins and scopes of the threads that the child does not have. */
void tmi_pin_forget_others(tm_pins_t_ *self);

#endif
