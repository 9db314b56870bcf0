/* To be preloaded beside the library, as other tools are: functions of libc that allocate before they do what they
 * are for. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void allocate(void)
{
    static __thread int inside;
    if (inside++ == 0) {
        for (size_t i = 1; i < 100000; i *= 7) {
            char *volatile p = malloc(i);
            if (p != NULL)
                p[0] = 1;
            free(p);
        }
    }
    inside--;
}

void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    allocate();
    return (void *)syscall(SYS_mmap, at, size, protection, flags, fd, offset);
}

int munmap(void *at, size_t size)
{
    allocate();
    return (int)syscall(SYS_munmap, at, size);
}

int mprotect(void *at, size_t size, int protection)
{
    allocate();
    return (int)syscall(SYS_mprotect, at, size, protection);
}

int madvise(void *at, size_t size, int advice)
{
    allocate();
    return (int)syscall(SYS_madvise, at, size, advice);
}

int clock_gettime(clockid_t clock, struct timespec *ts)
{
    allocate();
    return (int)syscall(SYS_clock_gettime, clock, ts);
}

int nanosleep(const struct timespec *ts, struct timespec *rest)
{
    allocate();
    return (int)syscall(SYS_nanosleep, ts, rest);
}

int getrlimit(__rlimit_resource_t resource, struct rlimit *limit)
{
    allocate();
    return (int)syscall(SYS_prlimit64, 0, resource, NULL, limit);
}

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    int mode = va_arg(args, int);
    va_end(args);
    allocate();
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

long sysconf(int name)
{
    static long (*next)(int);
    allocate();
    if (next == NULL)
        *(void **)&next = dlsym(RTLD_NEXT, "sysconf");
    return next(name);
}
