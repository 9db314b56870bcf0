/* fork.h - the heap across fork.
 *
 * Before fork every lock is taken, by rank, and the lock of stdio's list of files after the mover's. So the child's
 * copy is consistent. After fork the parent releases the locks. The child starts with all locks free, returns the slots
 * that the vanished threads had cached, and counts from zero. Handlers of other libraries that run in between may
 * allocate on the forking thread (lock.h). A process with one thread takes no lock. */
#ifndef TMI_HEAP_FORK_H
#define TMI_HEAP_FORK_H

/* Registers the handlers. Called once. */
void tmi_fork_init(void);

/* The handlers, for tests and for code that forks without libc. */
void tmi_fork_prepare(void);
void tmi_fork_parent(void);
void tmi_fork_child(void);

/* All locks by rank, as for fork. The audit runs under them. */
void tmi_fork_lock_all(void);
void tmi_fork_unlock_all(void);

#endif
