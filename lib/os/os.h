/* os.h - the only calls to the kernel.
 *
 * Every function returns 0 or an errno value unless said otherwise and does not touch errno, so that malloc and free
 * keep their promise about errno. None calls libc (os_call.h says why), so that other libraries cannot interpose.
 * Ranges are OS-page aligned unless said otherwise.
 *
 * Builds with TMI_TEST_HOOKS can make the Nth memory call fail (tmi_os_fail_at). */
#ifndef TMI_OS_OS_H
#define TMI_OS_OS_H

#include "base/base.h"

/* Bytes of an OS page and its log2; valid after tmi_os_init. */
extern size_t tmi_os_page_size;
extern unsigned tmi_os_page_shift;

/* Idempotent; called before anything else here. False when pages of this size are not supported. */
bool tmi_os_init(void);

/* How much address space the process may have (RLIMIT_AS), or SIZE_MAX. */
size_t tmi_os_address_limit(void);

/* Whether the kernel would not map so many bytes to a process that had nothing: more than the process may have, or
 * memory and swap together. */
bool tmi_os_impossible(size_t size);

/* Reserve address space that reads as zero, is not charged and holds no memory: for tables indexed by address, on small
 * pages. */
int tmi_os_reserve(size_t size, void **out);
/* The same at a given place; EEXIST when something else is there. */
int tmi_os_reserve_at(void *addr, size_t size);
/* Leave it out of core dumps until it is committed. */
void tmi_os_leave_out_of_dumps(void *addr, size_t size);
/* Address space where every access is a fault. */
int tmi_os_map_closed(size_t size, void **out);
/* Make pages of it accessible. */
int tmi_os_open_up(void *addr, size_t size);
/* Give them back, and let every access be a fault again. */
void tmi_os_close_off(void *addr, size_t size);
/* Make part of a reservation writable. */
int tmi_os_commit(void *addr, size_t size);
/* Map zeroed, writable memory aligned to `align` (a power of two >= the page size), near `hint` if not NULL. */
int tmi_os_map(void *hint, size_t size, size_t align, void **out);
/* The same for metadata, which lies on small pages; aligned to a page. */
int tmi_os_map_records(size_t size, void **out);
int tmi_os_unmap(void *addr, size_t size);
/* Purge the pages: the kernel takes their memory, and they read as zero afterwards. Splits no mapping. */
int tmi_os_purge(void *addr, size_t size);
/* Where the kernel makes huge pages: nowhere, where madvise requests them, everywhere. Read once, by the first call;
 * where it cannot be read, TMI_THP_MADVISE. */
typedef enum tmi_thp { TMI_THP_UNKNOWN, TMI_THP_NEVER, TMI_THP_MADVISE, TMI_THP_ALWAYS } tmi_thp_t;
tmi_thp_t tmi_os_thp(void);
/* Request huge pages in a range, or none. */
int tmi_os_huge(void *addr, size_t size, bool on);
/* Move the pages of [from, from+size) to `to`, both mapped; `from` stays mapped and reads as zero. When the kernel
 * cannot, or refuses, both ranges are mapped and `from` has its contents. */
int tmi_os_move(void *from, void *to, size_t size);

/* Sleep while *word == expected; spurious returns are possible. */
void tmi_os_futex_wait(const uint32_t *word, uint32_t expected);
void tmi_os_futex_wake_one(const uint32_t *word);
/* The same for at most so many milliseconds; false when they are over. */
bool tmi_os_futex_wait_ms(const uint32_t *word, uint32_t expected, uint32_t ms);

/* Whether the process has had no second thread so far. */
bool tmi_os_single_threaded(void);

/* Monotonic milliseconds, modulo 2^32, from the coarse clock: a few ns, a few ms of grain. */
uint32_t tmi_os_now_ms(void);
void tmi_os_sleep_ms(uint32_t ms);

/* Monotonic nanoseconds; tens of ns a call. */
uint64_t tmi_os_now_ns(void);

/* The two fences that one side pays for both. After tmi_os_fence(kind) every thread of the process has, since the call
 * began, executed a full fence. `expedited` interrupts the running ones (microseconds), `global` waits until all have
 * been scheduled (a grace period, some 16 ms) and interrupts none. */
typedef enum tmi_fence { TMI_FENCE_GLOBAL, TMI_FENCE_EXPEDITED } tmi_fence_t;
/* Announce the use of the expedited fence; may take milliseconds. Once per process and again in a child of fork.
 * ENOSYS: not available. */
int tmi_os_fence_register(void);
int tmi_os_fence(tmi_fence_t kind);

/* The same when membarrier is refused: the calling thread visits all CPUs that the process may use, one after another.
 * Threads that a cpuset of their own keeps on other CPUs are not reached. */
int tmi_os_fence_by_walk(void);

/* At the start of the process: the CPUs that it may use. */
void tmi_os_note_cpus(void);
/* Make the calling thread independent of the thread that started it: SCHED_OTHER, nice 0 or more, any of those CPUs,
 * this name (15 bytes at most). */
void tmi_os_be_ordinary(const char *name);
/* Block all signals but those that libc needs; returns what was blocked. */
uint64_t tmi_os_block_signals(void);
void tmi_os_restore_signals(uint64_t before);

/* Let another thread run. */
void tmi_os_yield(void);

/* The kernel's numbers of this process and of the calling thread. */
uint32_t tmi_os_getpid(void);
uint32_t tmi_os_gettid(void);
/* Whether this process has a thread with that number. True when the kernel does not tell. */
bool tmi_os_thread_exists(uint32_t thread);

/* Write all of it. False: not all could be written. */
bool tmi_os_write(int fd, const char *bytes, size_t nbytes);
/* A file descriptor, a count, or minus an errno. None is a cancellation point. */
int tmi_os_open(const char *path, int flags, unsigned mode);
long tmi_os_read(int fd, char *out, size_t nbytes);
void tmi_os_close(int fd);
int tmi_os_rename(const char *from, const char *to);
int tmi_os_remove(const char *path);
/* A copy of fd, numbered `lowest` or higher, closed by exec. */
int tmi_os_duplicate(int fd, int lowest);

/* Run `handler` at a signal, on the alternate stack if there is one; calls that it interrupts go on. 0, or EBUSY: the
 * program has a handler for the signal, or ignores it; EINVAL: it tells of a fault, or cannot be caught. Calls libc. */
int tmi_os_on_signal(int number, void (*handler)(int)) TMI_COLD;

/* Copy memory of the process, by the kernel: returns how many bytes could be read, which is 0 where it refuses. */
size_t tmi_os_copy_memory(void *to, const void *from, size_t nbytes);
/* Whether the page has been touched, by a descriptor of /proc/self/pagemap; true where it does not tell. */
bool tmi_os_page_in_use(int pagemap, const void *p);
/* The ranges that tmi_os_map_records has mapped. Whether all are known, and whether p lies in one. */
bool tmi_os_records_known(void);
bool tmi_os_holds_records(const void *p);
/* For os.c. */
void tmi_os_note_records(const void *addr, size_t nbytes);
void tmi_os_forget_records(const void *addr);

/* Whether the 8 bytes at p can be read. Never a fault; some 100 ns. */
bool tmi_os_readable(const void *p);
/* A file's contents, to be read; tmi_os_unmap takes the size in whole pages. */
int tmi_os_map_file(const char *path, void **out, size_t *size);

#if TMI_TEST_HOOKS
/* The nth call from now (1 is the next) to a memory function above fails with ENOMEM; 0 switches it off. With `sticky`
 * all calls after it fail too. */
void tmi_os_fail_at(unsigned long nth, bool sticky);
/* Whether the failure asked for has happened. */
bool tmi_os_fail_fired(void);
#endif

#endif
