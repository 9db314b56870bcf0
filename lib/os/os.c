/* Calls to the kernel. os_call.h says why they bypass libc. */
#include "os/os.h"
#include "base/atomic.h"
#include "base/probe.h"
#include "os/os_call.h"

#include <errno.h>
#include <fcntl.h>
#if __has_include(<linux/membarrier.h>)
#include <linux/futex.h>
#include <linux/membarrier.h>
#else /* a C library without the kernel's headers: the kernel's numbers */
enum { FUTEX_WAIT_PRIVATE = 128, FUTEX_WAKE_PRIVATE = 129 };
enum {
    MEMBARRIER_CMD_GLOBAL = 1,
    MEMBARRIER_CMD_PRIVATE_EXPEDITED = 8,
    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED = 16
};
#endif
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <time.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

enum { STDERR = 2 };

size_t tmi_os_page_size;
unsigned tmi_os_page_shift;

#if TMI_TEST_HOOKS
long (*tmi_other_kernel)(tmi_call_t call);
static unsigned long fail_countdown;
static bool fail_sticky, fail_fired;

void tmi_os_fail_at(unsigned long nth, bool sticky)
{
    tmi_store_relaxed(&fail_fired, false);
    tmi_store_relaxed(&fail_sticky, sticky);
    tmi_store_relaxed(&fail_countdown, nth);
}

bool tmi_os_fail_fired(void) { return tmi_load_relaxed(&fail_fired); }

static bool must_fail(void)
{
    if (tmi_load_relaxed(&fail_countdown) == 0)
        return tmi_load_relaxed(&fail_fired) && tmi_load_relaxed(&fail_sticky);
    if (tmi_sub_relaxed(&fail_countdown, 1) != 1)
        return false;
    tmi_store_relaxed(&fail_fired, true);
    return true;
}
#else
static inline bool must_fail(void) { return false; }
#endif

bool tmi_os_init(void)
{
    size_t size = getauxval(AT_PAGESZ);
    if (!tmi_is_pow2(size) || size > TMI_UNIT_SIZE)
        return false;
    // relaxed: if two threads come here at once, both store the same
    tmi_store_relaxed(&tmi_os_page_shift, tmi_log2(size));
    tmi_store_relaxed(&tmi_os_page_size, size);
    return true;
}

/* The errno of one memory call, or 0. Tests can make it fail. */
#define MEMORY(...) (must_fail() ? ENOMEM : tmi_call_errno(tmi_call(__VA_ARGS__)))

#ifdef TMI_SANITIZED
/* Under sanitizers, through libc's functions: sanitizers intercept these to know what is mapped. */
static long mapping(void *hint, size_t size, int prot, int flags)
{
    int saved = errno;
    void *p = mmap(hint, size, prot, flags, -1, 0);
    long result = p == MAP_FAILED ? -errno : tmi_arg(p);
    errno = saved;
    return result;
}
static long unmapping(void *addr, size_t size)
{
    int saved = errno;
    long result = munmap(addr, size) != 0 ? -errno : 0;
    errno = saved;
    return result;
}
static long remapping(void *from, size_t size, int flags, void *to)
{
    int saved = errno;
    void *p = mremap(from, size, size, flags, to);
    long result = p == MAP_FAILED ? -errno : tmi_arg(p);
    errno = saved;
    return result;
}
#else
static long mapping(void *hint, size_t size, int prot, int flags)
{
    return tmi_call(SYS_mmap, tmi_arg(hint), (long)size, prot, flags, -1, 0);
}
static long unmapping(void *addr, size_t size) { return tmi_call(SYS_munmap, tmi_arg(addr), (long)size); }
static long remapping(void *from, size_t size, int flags, void *to)
{
    return tmi_call(SYS_mremap, tmi_arg(from), (long)size, (long)size, flags, tmi_arg(to));
}
#endif

size_t tmi_os_address_limit(void)
{
    struct rlimit limit;
    bool known = tmi_call(SYS_prlimit64, 0, RLIMIT_AS, 0, tmi_arg(&limit)) == 0 && limit.rlim_cur != RLIM_INFINITY;
    return known ? (size_t)limit.rlim_cur : SIZE_MAX;
}

bool tmi_os_impossible(size_t size)
{
    struct sysinfo machine;
    if (size > tmi_os_address_limit())
        return true;
    return tmi_call(SYS_sysinfo, tmi_arg(&machine)) == 0 &&
           size / machine.mem_unit > machine.totalram + machine.totalswap;
}

static int map_at(void *hint, size_t size, int prot, int flags, void **out)
{
    long result = must_fail() ? -ENOMEM : mapping(hint, size, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags);
    int err = tmi_call_errno(result);
    *out = err != 0 ? NULL : (void *)(intptr_t)result;
    return err;
}

static uint32_t thp; // tmi_thp_t. Relaxed: a thread that reads it before it is known only skips an advice

/* "always [madvise] never" */
tmi_thp_t tmi_os_thp(void)
{
    char text[64] = "", *bracket;
    tmi_thp_t mode = tmi_load_relaxed(&thp);
    if (mode != TMI_THP_UNKNOWN)
        return mode;
    int fd = tmi_os_open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC, 0);
    if (fd >= 0) {
        (void)tmi_os_read(fd, text, sizeof text - 1);
        tmi_os_close(fd);
    }
    bracket = strchr(text, '[');
    char first = bracket != NULL ? bracket[1] : 'm';
    mode = first == 'a' ? TMI_THP_ALWAYS : first == 'n' ? TMI_THP_NEVER : TMI_THP_MADVISE;
    tmi_store_relaxed(&thp, mode);
    return mode;
}

int tmi_os_huge(void *addr, size_t size, bool on)
{
    return MEMORY(SYS_madvise, tmi_arg(addr), (long)size, on ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

/* Tables and records are sparse or small, so a huge page would be mostly empty. A refusal does no harm. */
static void keep_small(int err, void **at, size_t size)
{
    if (err == 0 && tmi_load_relaxed(&thp) == TMI_THP_ALWAYS)
        (void)tmi_call(SYS_madvise, tmi_arg(*at), (long)size, MADV_NOHUGEPAGE);
}

int tmi_os_reserve(size_t size, void **out)
{
    int err = map_at(NULL, size, PROT_READ, MAP_NORESERVE, out);
    keep_small(err, out, size);
    return err;
}

int tmi_os_map_closed(size_t size, void **out) { return map_at(NULL, size, PROT_NONE, MAP_NORESERVE, out); }

int tmi_os_open_up(void *addr, size_t size)
{
    return MEMORY(SYS_mprotect, tmi_arg(addr), (long)size, PROT_READ | PROT_WRITE);
}

/* One mmap call does both, so that no other thread can map something in between. The call splits no mapping, so it does
 * not fail. */
void tmi_os_close_off(void *addr, size_t size)
{
    (void)mapping(addr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED);
}

/* Kernels before 4.17 treat the address as a hint only. */
int tmi_os_reserve_at(void *addr, size_t size)
{
    enum { FIXED_NOREPLACE = 0x100000 };
    void *p;
    int err = map_at(addr, size, PROT_READ, MAP_NORESERVE | FIXED_NOREPLACE, &p);
    keep_small(err, &p, size);
    if (err != 0 || p == addr)
        return err;
    (void)tmi_os_unmap(p, size);
    return EEXIST;
}

/* A refusal does no harm, so tests need not make this call fail. */
void tmi_os_exclude_from_dumps(void *addr, size_t size)
{
    (void)tmi_call(SYS_madvise, tmi_arg(addr), (long)size, MADV_DONTDUMP);
}

int tmi_os_commit(void *addr, size_t size)
{
    int err = MEMORY(SYS_mprotect, tmi_arg(addr), (long)size, PROT_READ | PROT_WRITE);
    if (err == 0)
        (void)tmi_call(SYS_madvise, tmi_arg(addr), (long)size, MADV_DODUMP);
    return err;
}

static void trim_mapping(char *from, char *to)
{
    if (from < to)
        (void)tmi_os_unmap(from, (size_t)(to - from));
}

int tmi_os_map(void *hint, size_t size, size_t align, void **out)
{
    char *p;
    int err = map_at(hint, size, PROT_READ | PROT_WRITE, 0, (void **)&p);
    if (err != 0 || ((uintptr_t)p & (align - 1)) == 0) {
        *out = p;
        return err;
    }
    trim_mapping(p, p + size); // misaligned: map with slack and cut both ends
    *out = NULL;
    if (size + align < size)
        return ENOMEM;
    err = map_at(hint, size + align, PROT_READ | PROT_WRITE, 0, (void **)&p);
    if (err != 0)
        return err;
    char *start = (char *)tmi_round_up((uintptr_t)p, align);
    trim_mapping(p, start);
    trim_mapping(start + size, p + size + align);
    *out = start;
    return 0;
}

int tmi_os_map_records(size_t size, void **out)
{
    int err = map_at(NULL, size, PROT_READ | PROT_WRITE, 0, out);
    keep_small(err, out, size);
    if (err == 0)
        tmi_os_note_records(*out, size);
    return err;
}

int tmi_os_unmap(void *addr, size_t size)
{
    int err = tmi_call_errno(unmapping(addr, size));
    if (err == 0)
        tmi_os_forget_records(addr);
    return err;
}

int tmi_os_purge(void *addr, size_t size)
{
    TMI_PROBE2(tinymem, purge, (uintptr_t)addr, size);
    return MEMORY(SYS_madvise, tmi_arg(addr), (long)size, MADV_DONTNEED);
}

static int move_to(void *from, size_t size, int flags, void *to, void **out)
{
    long result = must_fail() ? -ENOMEM : remapping(from, size, flags, to);
    *out = (void *)(intptr_t)result;
    return tmi_call_errno(result);
}

/* A kernel before 6.17 unmaps the given place first and may refuse only afterwards (EFAULT if the pages lie in two
 * mappings). So the pages are first moved to a place that the kernel chooses, where a refusal does no harm. There they
 * are one mapping, which can be moved anywhere. */
static int move_whole(void *from, void *to, size_t size)
{
    void *between, *end;
    int err = move_to(from, size, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL, &between);
    if (err != 0)
        return err;
    err = move_to(between, size, MREMAP_MAYMOVE | MREMAP_FIXED, to, &end);
    if (err == 0)
        return 0;
    // Perhaps there are too many mappings, and `to` may be unmapped now. Map it again at once, before another thread
    // maps something there.
    if (tmi_call_errno(mapping(to, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED)) != 0) {
        static const char lost[] =
            "tinymem: realloc: the kernel has unmapped a range of the heap and does not map it again\n";
        tmi_os_write(STDERR, lost, sizeof lost - 1);
        abort();
    }
    memcpy(from, between, size); // to the pages that DONTUNMAP has left mapped
    (void)tmi_os_unmap(between, size);
    return err;
}

static void move_parts(char *from, char *to, size_t size);

static void move_part(char *from, char *to, size_t size)
{
    enum { COPIED = 256 << 10 }; // bytes, around the border between two mappings
    if (size > COPIED) {
        if (move_whole(from, to, size) != 0)
            move_parts(from, to, size);
        return;
    }
    memcpy(to, from, size);
    if (tmi_os_purge(from, size) != 0)
        memset(from, 0, size); // locked memory
}

static void move_parts(char *from, char *to, size_t size)
{
    size_t half = tmi_round_up(size / 2, tmi_os_page_size);
    move_part(from, to, half);
    move_part(from + half, to + half, size - half);
}

/* A range may span several mappings, if an object was moved and has grown since. It is then moved in parts. Each part
 * is halved until it lies in one mapping or is small enough to copy. Parts of one mapping become one mapping again at
 * the target. */
int tmi_os_move(void *from, void *to, size_t size)
{
    int err = move_whole(from, to, size);
    if (err != EFAULT)
        return err;
    move_parts(from, to, size);
    return 0;
}

void tmi_os_futex_wait(const uint32_t *word, uint32_t expected)
{
    (void)tmi_call(SYS_futex, tmi_arg(word), FUTEX_WAIT_PRIVATE, expected, 0, 0, 0);
}

bool tmi_os_futex_wait_ms(const uint32_t *word, uint32_t expected, uint32_t ms)
{
    struct timespec ts = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    return tmi_call(SYS_futex, tmi_arg(word), FUTEX_WAIT_PRIVATE, expected, tmi_arg(&ts), 0, 0) != -ETIMEDOUT;
}

void tmi_os_futex_wake_one(const uint32_t *word) { (void)tmi_call(SYS_futex, tmi_arg(word), FUTEX_WAKE_PRIVATE, 1); }

static int membarrier(int command) { return MEMORY(SYS_membarrier, command, 0, 0); }

int tmi_os_fence_register(void) { return membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED); }

int tmi_os_fence(tmi_fence_t kind)
{
    return membarrier(kind == TMI_FENCE_GLOBAL ? MEMBARRIER_CMD_GLOBAL : MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

void tmi_os_sleep_ms(uint32_t ms)
{
    struct timespec ts = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)tmi_call(SYS_nanosleep, tmi_arg(&ts), 0);
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

bool tmi_os_write(int fd, const char *bytes, size_t nbytes)
{
    while (nbytes > 0) {
        long n = tmi_call(SYS_write, fd, tmi_arg(bytes), (long)nbytes);
        if (n == -EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes += n;
        nbytes -= (size_t)n;
    }
    return true;
}

int tmi_os_open(const char *path, int flags, unsigned mode)
{
    return (int)tmi_call(SYS_openat, -100 /* AT_FDCWD */, tmi_arg(path), flags, mode);
}

long tmi_os_read(int fd, char *out, size_t nbytes)
{
    long n;
    do
        n = tmi_call(SYS_read, fd, tmi_arg(out), (long)nbytes);
    while (n == -EINTR);
    return n;
}

void tmi_os_close(int fd) { (void)tmi_call(SYS_close, fd); }

enum { HERE = -100 }; // AT_FDCWD
int tmi_os_rename(const char *from, const char *to)
{
    return tmi_call_errno(tmi_call(SYS_renameat2, HERE, tmi_arg(from), HERE, tmi_arg(to), 0));
}
int tmi_os_remove(const char *path) { return tmi_call_errno(tmi_call(SYS_unlinkat, HERE, tmi_arg(path), 0)); }

int tmi_os_duplicate(int fd, int lowest) { return (int)tmi_call(SYS_fcntl, fd, 1030 /* F_DUPFD_CLOEXEC */, lowest); }

/* ---- processes and threads --------------------------------------------------------------------------------------- */

void tmi_os_yield(void) { (void)tmi_call(SYS_sched_yield); }

uint32_t tmi_os_getpid(void) { return (uint32_t)tmi_call(SYS_getpid); }
uint32_t tmi_os_gettid(void) { return (uint32_t)tmi_call(SYS_gettid); }

bool tmi_os_thread_exists(uint32_t thread) { return tmi_call(SYS_tgkill, tmi_os_getpid(), thread, 0) != -ESRCH; }
