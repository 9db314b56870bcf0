/* How the kernel schedules the calling thread, and the fence that works without membarrier. */
#include "os/os.h"
#include "os/os_call.h"

#include <errno.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

enum { NOTED_WORDS = 16, ALL_WORDS = 128, BITS = 64 }; // 1,024 CPUs can be noted, 8,192 be visited

/* A constructor writes this in every process. It lies beside an address that the dynamic linker relocates, on a page
 * that has been written already, so it costs no further page. */
static struct {
    const size_t *beside;
    long nbytes; // 0: not known
    uint64_t cpus[NOTED_WORDS];
} noted = {.beside = &tmi_os_page_size};

/* glibc's. */
extern char __libc_single_threaded __attribute__((weak));

bool tmi_os_single_threaded(void) { return &__libc_single_threaded != NULL && __libc_single_threaded; }

static long affinity_of_self(uint64_t *cpus, size_t nbytes)
{
    return tmi_call(SYS_sched_getaffinity, 0, (long)nbytes, tmi_arg(cpus));
}
static long set_affinity(const uint64_t *cpus, size_t nbytes)
{
    return tmi_call(SYS_sched_setaffinity, 0, (long)nbytes, tmi_arg(cpus));
}

void tmi_os_note_cpus(void)
{
    long n = affinity_of_self(noted.cpus, sizeof noted.cpus);
    noted.nbytes = n > 0 ? n : 0;
}

/* The kernel removes the CPUs that the process may not use. */
static long use_any_cpu(void)
{
    uint64_t all[ALL_WORDS];
    for (unsigned w = 0; w < ALL_WORDS; w++)
        all[w] = ~(uint64_t)0;
    return set_affinity(all, sizeof all);
}

void tmi_os_be_ordinary(const char *name)
{
    struct sched_param none = {0};
    (void)tmi_call(SYS_prctl, PR_SET_NAME, tmi_arg(name));
    (void)tmi_call(SYS_sched_setscheduler, 0, SCHED_OTHER, tmi_arg(&none));
    if (tmi_call(SYS_getpriority, PRIO_PROCESS, 0) > 20) // the kernel's answer is 20 less the nice value
        (void)tmi_call(SYS_setpriority, PRIO_PROCESS, 0, 0);
    if (noted.nbytes == 0 || set_affinity(noted.cpus, (size_t)noted.nbytes) < 0)
        (void)use_any_cpu();
}

enum { SIGNALS_BYTES = 8 };

uint64_t tmi_os_block_signals(void)
{
    // libc uses these two. setuid waits until each thread has answered.
    uint64_t before = 0, all = ~((uint64_t)1 << (32 - 1) | (uint64_t)1 << (33 - 1));
    (void)tmi_call(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, tmi_arg(&all), tmi_arg(&before), SIGNALS_BYTES);
    return before;
}

void tmi_os_restore_signals(uint64_t before)
{
    (void)tmi_call(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, tmi_arg(&before), 0, SIGNALS_BYTES);
}

/* When a CPU begins to run this thread, it stops the thread that it ran before. A thread that is not running, or has
 * moved to another CPU, was stopped, too. At each such switch the kernel executes a full fence. So when this thread has
 * run on all CPUs, every other thread has executed a full fence since the call began. */
static int walk(const uint64_t *cpus, size_t nbytes)
{
    uint64_t one[ALL_WORDS] = {0};
    for (size_t cpu = 0; cpu < nbytes * 8; cpu++) {
        if (!(cpus[cpu / BITS] >> (cpu % BITS) & 1))
            continue;
        one[cpu / BITS] = (uint64_t)1 << (cpu % BITS);
        long err = set_affinity(one, nbytes);
        one[cpu / BITS] = 0;
        if (err < 0 && tmi_call_errno(err) != EINVAL) // EINVAL: the CPU has been switched off
            return tmi_call_errno(err);
    }
    return 0;
}

int tmi_os_fence_by_walk(void)
{
    uint64_t before[ALL_WORDS], cpus[ALL_WORDS];
    long nbefore = affinity_of_self(before, sizeof before);
    if (nbefore < 0)
        return tmi_call_errno(nbefore);
    long err = use_any_cpu(), n = affinity_of_self(cpus, sizeof cpus);
    if (err == 0 && n > 0)
        err = walk(cpus, (size_t)n);
    (void)set_affinity(before, (size_t)nbefore);
    return err < 0 ? tmi_call_errno(err) : n < 0 ? tmi_call_errno(n) : (int)err;
}
