/* fork.h - the heap across fork.
 *
 * Before fork every lock is taken, by rank, and stdio's list of files after the mover's, so that the child's copy is
 * consistent; after it the parent releases them. The child starts with all locks free, returns the slots that the
 * vanished threads had cached, and counts from zero. Handlers of other libraries that run in between may allocate on
 * the forking thread (lock.h). A process with one thread takes no lock. */
#ifndef TMI_HEAP_FORK_H
#define TMI_HEAP_FORK_H

/* Registers the handlers; once. */
void tmi_fork_init(void);

/* The handlers, for tests and for code that forks without libc. */
void tmi_fork_prepare(void);
void tmi_fork_parent(void);
void tmi_fork_child(void);

/* All locks by rank, as for fork: what the audit runs under. */
void tmi_fork_lock_all(void);
void tmi_fork_unlock_all(void);

#endif
