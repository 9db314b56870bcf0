#include "host/os.h"
#include "base/atomic.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

size_t tmi_os_page_size;
unsigned tmi_os_page_shift;

#if TMI_TEST_HOOKS
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
    tmi_os_page_size = size;
    tmi_os_page_shift = tmi_log2(size);
    return true;
}

/* Runs one call, yields its errno or 0, and puts errno back. */
#define KERNEL(call_fails)                      \
    __extension__({                             \
        int saved_ = errno, err_ = 0;           \
        if (must_fail())                        \
            err_ = ENOMEM;                      \
        else if (call_fails)                    \
            err_ = errno;                       \
        errno = saved_;                         \
        err_;                                   \
    })

size_t tmi_os_address_limit(void)
{
    int saved = errno;
    struct rlimit limit;
    bool known = getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
    errno = saved;
    return known ? (size_t)limit.rlim_cur : SIZE_MAX;
}

static int map_at(void *hint, size_t size, int prot, int flags, void **out)
{
    void *p = MAP_FAILED;
    int err = KERNEL((p = mmap(hint, size, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0)) == MAP_FAILED);
    *out = err ? NULL : p;
    return err;
}

int tmi_os_reserve(size_t size, void **out) { return map_at(NULL, size, PROT_READ, MAP_NORESERVE, out); }

int tmi_os_commit(void *addr, size_t size) { return KERNEL(mprotect(addr, size, PROT_READ | PROT_WRITE) != 0); }

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

int tmi_os_unmap(void *addr, size_t size)
{
    int saved = errno, err = munmap(addr, size) != 0 ? errno : 0;
    errno = saved;
    return err;
}

int tmi_os_purge(void *addr, size_t size) { return KERNEL(madvise(addr, size, MADV_DONTNEED) != 0); }

int tmi_os_huge(void *addr, size_t size, bool on)
{
    return KERNEL(madvise(addr, size, on ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) != 0);
}

int tmi_os_move(void *from, void *to, size_t size)
{
    return KERNEL(mremap(from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to) == MAP_FAILED);
}

void tmi_os_futex_wait(const uint32_t *word, uint32_t expected)
{
    int saved = errno;
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
    errno = saved;
}

void tmi_os_futex_wake_one(const uint32_t *word)
{
    int saved = errno;
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    errno = saved;
}

uint32_t tmi_os_now_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &ts); // cannot fail with a valid clock and pointer
    return (uint32_t)((uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000);
}

uint64_t tmi_os_now_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts); // as above
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int membarrier(int command) { return KERNEL(syscall(SYS_membarrier, command, 0, 0) != 0); }

int tmi_os_fence_register(void) { return membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED); }

int tmi_os_fence(tmi_fence_t kind)
{
    return membarrier(kind == TMI_FENCE_GLOBAL ? MEMBARRIER_CMD_GLOBAL : MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

void tmi_os_sleep_ms(uint32_t ms)
{
    int saved = errno;
    struct timespec ts = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&ts, NULL);
    errno = saved;
}

void tmi_os_write(int fd, const char *bytes, size_t nbytes)
{
    int saved = errno;
    while (nbytes > 0) {
        ssize_t n = write(fd, bytes, nbytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        bytes += n;
        nbytes -= (size_t)n;
    }
    errno = saved;
}

uint32_t tmi_os_getpid(void) { return (uint32_t)getpid(); }
uint32_t tmi_os_gettid(void) { return (uint32_t)syscall(SYS_gettid); }

bool tmi_os_thread_exists(uint32_t thread)
{
    int saved = errno;
    bool gone = syscall(SYS_tgkill, (int)getpid(), (int)thread, 0) != 0 && errno == ESRCH;
    errno = saved;
    return !gone;
}
