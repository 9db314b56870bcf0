/* Other kernels than the running one, as far as the library can tell: with TEST_KERNEL=NAME in the environment some
 * of its calls are answered as that kernel would. (Guests boot real ones; what is here runs every day, on any test.)
 *
 *   mremap         Linux 5.7 to 6.16: a destination is unmapped first of all, and then a source that does not lie in
 *   one
 *                  mapping is refused
 *   no-dontunmap   before 5.7: mremap does not know MREMAP_DONTUNMAP
 *   no-membarrier  before 4.3, or under a filter: no fences of the kernel
 *   global-only    before 4.14: membarrier knows the slow fence only
 *   no-madvise     built without it: nothing can be given back
 *   no-noreplace   before 4.17: MAP_FIXED_NOREPLACE is a hint
 *   collapse       khugepaged, but at once: where something is given back a huge page is made, if one may be
 *
 * At the end of the process a result says how often that made a difference; never is a failure. */
#include "os/os.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if TMI_TEST_HOOKS && !UNDER_SANITIZER
#include "os/os_call.h"
#include "segments/pagemap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static size_t *differences; // of children too
static pid_t process;

static long differs(long result)
{
    __atomic_fetch_add(differences, 1, __ATOMIC_RELAXED);
    return result;
}

/* Whether a mapping of the process ends inside (from, to). Allocates nothing. */
static bool is_divided(unsigned long from, unsigned long to)
{
    static char maps[1 << 20];
    static int lock;
    size_t length = 0;
    bool divided = false;
    while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
        (void)usleep(10);
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    for (ssize_t n; (n = read(fd, maps + length, sizeof maps - 1 - length)) > 0;)
        length += (size_t)n;
    (void)close(fd);
    maps[length] = '\0';
    for (char *line = maps; *line != '\0' && !divided; line = strchr(line, '\n') + 1) {
        char *rest;
        (void)strtoul(line, &rest, 16);
        unsigned long end = strtoul(rest + 1, NULL, 16);
        divided = end > from && end < to;
    }
    __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
    return divided;
}

static long old_mremap(tmi_call_t c)
{
    if (c.number != SYS_mremap)
        return tmi_call_kernel(c);
    if (c.d & MREMAP_FIXED)
        (void)tmi_call_kernel((tmi_call_t){SYS_munmap, c.e, c.c, 0, 0, 0, 0});
    return is_divided((unsigned long)c.a, (unsigned long)(c.a + c.b)) ? differs(-EFAULT) : tmi_call_kernel(c);
}

static long no_dontunmap(tmi_call_t c)
{
    return c.number == SYS_mremap && (c.d & 4) ? differs(-EINVAL) : tmi_call_kernel(c);
}

static long no_membarrier(tmi_call_t c)
{
    return c.number == SYS_membarrier ? differs(-ENOSYS) : tmi_call_kernel(c);
}

static long global_only(tmi_call_t c)
{
    return c.number == SYS_membarrier && c.a != MEMBARRIER_CMD_GLOBAL ? differs(-EINVAL) : tmi_call_kernel(c);
}

static long no_madvise(tmi_call_t c) { return c.number == SYS_madvise ? differs(-ENOSYS) : tmi_call_kernel(c); }

static long no_noreplace(tmi_call_t c)
{
    enum { NOREPLACE = 0x100000 };
    if (c.number == SYS_mmap && (c.d & NOREPLACE)) {
        (void)differs(0);
        c.d &= ~NOREPLACE;
    }
    return tmi_call_kernel(c);
}

static long collapse(tmi_call_t c)
{
    long result = tmi_call_kernel(c);
    if (c.number == SYS_madvise && c.c == MADV_DONTNEED && result == 0) {
        long segment = c.a & ~((long)TMI_SEGMENT_SIZE - 1);
        (void)tmi_call_kernel((tmi_call_t){SYS_madvise, segment, TMI_SEGMENT_SIZE, MADV_COLLAPSE, 0, 0, 0});
        (void)differs(0);
    }
    return result;
}

static const struct {
    const char *name;
    long (*kernel)(tmi_call_t call);
} kernels[] = {{"mremap", old_mremap},         {"no-dontunmap", no_dontunmap}, {"no-membarrier", no_membarrier},
               {"global-only", global_only},   {"no-madvise", no_madvise},     {"no-noreplace", no_noreplace},
               {"collapse", collapse}};

__attribute__((constructor(101))) static void choose(void)
{
    const char *name = getenv("TEST_KERNEL");
    for (size_t i = 0; name != NULL && i < sizeof kernels / sizeof *kernels; i++)
        if (strcmp(name, kernels[i].name) == 0)
            tmi_other_kernel = kernels[i].kernel;
    if (name == NULL)
        return;
    if (tmi_other_kernel == NULL) {
        (void)fprintf(stderr, "TEST_KERNEL=%s is not known\n", name);
        _exit(2);
    }
    process = getpid();
    differences = mmap(NULL, sizeof *differences, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (differences == MAP_FAILED)
        abort();
}

__attribute__((destructor)) static void say(void)
{
    if (tmi_other_kernel != NULL && getpid() == process)
        printf("%s - under %s: %zu calls were answered otherwise\n", *differences > 0 ? "ok" : "not ok",
               getenv("TEST_KERNEL"), *differences);
}
#endif
