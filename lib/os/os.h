/* os.h - the only calls to the kernel.
 *
 * Unless said otherwise, every function returns 0 or an errno value. None touches errno, so that malloc and free can
 * keep their promise about it. None calls libc (os_call.h says why), so other libraries cannot interpose. Ranges are
 * OS-page aligned unless said otherwise.
 *
 * Builds with TMI_TEST_HOOKS can make the Nth memory call fail (tmi_os_fail_at). */
#ifndef TMI_OS_OS_H
#define TMI_OS_OS_H

#include "base/base.h"

/* Bytes of an OS page and its log2; valid after tmi_os_init. */
extern size_t tmi_os_page_size;
extern unsigned tmi_os_page_shift;

/* Called before any other function here. Further calls do nothing. False: pages of this size are not supported. */
bool tmi_os_init(void);

/* How much address space the process may use (RLIMIT_AS), or SIZE_MAX. */
size_t tmi_os_address_limit(void);

/* Whether the kernel would refuse that many bytes even to an empty process: they exceed the process's limit, or memory
 * and swap together. */
bool tmi_os_impossible(size_t size);

/* Reserve address space for a table that is indexed by address. It reads as zero, is not charged, holds no memory, and
 * is never backed by huge pages. */
int tmi_os_reserve(size_t size, void **out);
/* The same at a given address. EEXIST: something else is mapped there. */
int tmi_os_reserve_at(void *addr, size_t size);
/* Leave a reservation out of core dumps until it is committed. */
void tmi_os_exclude_from_dumps(void *addr, size_t size);
/* Address space where every access is a fault. */
int tmi_os_map_closed(size_t size, void **out);
/* Make some of its pages accessible. */
int tmi_os_open_up(void *addr, size_t size);
/* Give the memory of these pages back, and let every access fault again. */
void tmi_os_close_off(void *addr, size_t size);
/* Make part of a reservation writable. */
int tmi_os_commit(void *addr, size_t size);
/* Map zeroed, writable memory aligned to `align` (a power of two >= the page size), near `hint` if not NULL. */
int tmi_os_map(void *hint, size_t size, size_t align, void **out);
/* The same for metadata: aligned to a page, and never backed by huge pages. */
int tmi_os_map_records(size_t size, void **out);
int tmi_os_unmap(void *addr, size_t size);
/* Purge the pages: the kernel takes their memory back, and they read as zero afterwards. Splits no mapping. */
int tmi_os_purge(void *addr, size_t size);
/* Where the kernel makes huge pages: nowhere, where madvise requests them, or everywhere. The first call reads the
 * setting; TMI_THP_MADVISE if it cannot be read. */
typedef enum tmi_thp { TMI_THP_UNKNOWN, TMI_THP_NEVER, TMI_THP_MADVISE, TMI_THP_ALWAYS } tmi_thp_t;
tmi_thp_t tmi_os_thp(void);
/* Request huge pages for a range, or forbid them. */
int tmi_os_huge(void *addr, size_t size, bool on);
/* Move the pages of [from, from+size) to `to`, both mapped. `from` stays mapped and reads as zero. After an error both
 * ranges are mapped and `from` has its contents. */
int tmi_os_move(void *from, void *to, size_t size);

/* Sleep while *word == expected; spurious returns are possible. */
void tmi_os_futex_wait(const uint32_t *word, uint32_t expected);
void tmi_os_futex_wake_one(const uint32_t *word);
/* The same for at most `ms` milliseconds. False: they are over. */
bool tmi_os_futex_wait_ms(const uint32_t *word, uint32_t expected, uint32_t ms);

/* Whether the process has never had a second thread. */
bool tmi_os_single_threaded(void);

/* Monotonic milliseconds, modulo 2^32, from the coarse clock: a call takes a few ns, the resolution is a few ms. */
uint32_t tmi_os_now_ms(void);
void tmi_os_sleep_ms(uint32_t ms);

/* Monotonic nanoseconds. A call takes tens of ns. */
uint64_t tmi_os_now_ns(void);

/* The two asymmetric fences: the caller pays for all threads. When tmi_os_fence returns, every thread of the process
 * has executed a full fence since the call began. `expedited` interrupts the running threads and takes microseconds.
 * `global` interrupts none; it waits for a grace period, some 16 ms, until all have been scheduled. */
typedef enum tmi_fence { TMI_FENCE_GLOBAL, TMI_FENCE_EXPEDITED } tmi_fence_t;
/* Register for the expedited fence, once per process and again in a child of fork. May take milliseconds. ENOSYS: the
 * kernel has no such fence. */
int tmi_os_fence_register(void);
int tmi_os_fence(tmi_fence_t kind);

/* The same without membarrier: the calling thread visits all CPUs that the process may use, one after another. It does
 * not reach threads that a cpuset of their own keeps on other CPUs. */
int tmi_os_fence_by_walk(void);

/* Note the CPUs that the process may use. Called at its start. */
void tmi_os_note_cpus(void);
/* Undo what the calling thread inherited from the thread that started it: it becomes SCHED_OTHER with a nice value of
 * at least 0, may use all noted CPUs, and gets this name (at most 15 bytes). */
void tmi_os_be_ordinary(const char *name);
/* Block all signals except those that libc needs. Returns the mask that was in force. */
uint64_t tmi_os_block_signals(void);
void tmi_os_restore_signals(uint64_t before);

/* Let another thread run. */
void tmi_os_yield(void);

/* The kernel's numbers for this process and for the calling thread. */
uint32_t tmi_os_getpid(void);
uint32_t tmi_os_gettid(void);
/* Whether this process has a thread with that number. True if the kernel does not tell. */
bool tmi_os_thread_exists(uint32_t thread);

/* Write all bytes. False: not all could be written. */
bool tmi_os_write(int fd, const char *bytes, size_t nbytes);
/* These return a file descriptor, a count, or minus an errno. None is a cancellation point. */
int tmi_os_open(const char *path, int flags, unsigned mode);
long tmi_os_read(int fd, char *out, size_t nbytes);
void tmi_os_close(int fd);
int tmi_os_rename(const char *from, const char *to);
int tmi_os_remove(const char *path);
/* A copy of fd, numbered `lowest` or higher, closed by exec. */
int tmi_os_duplicate(int fd, int lowest);

/* Run `handler` at a signal, on the alternate stack if there is one; interrupted system calls are restarted. Returns 0;
 * EBUSY: the program has a handler for the signal, or ignores it; EINVAL: the signal reports a fault, or cannot be
 * caught. Calls libc. */
int tmi_os_on_signal(int number, void (*handler)(int)) TMI_COLD;

/* Let the kernel copy memory of this process. Returns how many bytes could be read; 0 if the kernel refuses. */
size_t tmi_os_copy_memory(void *to, const void *from, size_t nbytes);
/* Whether the page has been touched. `pagemap` is a descriptor of /proc/self/pagemap. True if that file does not
 * tell. */
bool tmi_os_page_in_use(int pagemap, const void *p);
/* The ranges that tmi_os_map_records has mapped: whether all are known, and whether p lies in one. */
bool tmi_os_records_known(void);
bool tmi_os_holds_records(const void *p);
/* For os.c. */
void tmi_os_note_records(const void *addr, size_t nbytes);
void tmi_os_forget_records(const void *addr);

/* Whether the 8 bytes at p can be read. Never faults. Takes some 100 ns. */
bool tmi_os_readable(const void *p);
/* Map a file's contents for reading. Unmap it with the size rounded up to whole pages. */
int tmi_os_map_file(const char *path, void **out, size_t *size);

#if TMI_TEST_HOOKS
/* Make the nth call from now (1 is the next) of a memory function above fail with ENOMEM. 0: no failure. With `sticky`
 * all later calls fail, too. */
void tmi_os_fail_at(unsigned long nth, bool sticky);
/* Whether the requested failure has happened. */
bool tmi_os_fail_fired(void);
#endif

#endif
