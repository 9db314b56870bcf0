#include "threads/helper.h"
#include "base/atomic.h"
#include "os/os.h"
#include "threads/thread.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { RETRY_MS = 1000, STACK_BYTES = 256 << 10 }; // libc also puts the program's thread-local variables there

static uint32_t ours; // threads of ours that run. Relaxed: each counts itself first

static void *begin(void *helper)
{
    (void)tmi_add_relaxed(&ours, 1);
    const tmi_helper_t *h = helper;
    tmi_os_be_ordinary(h->name != NULL ? h->name : "tinymem");
    void *result = h->work(NULL);
    (void)tmi_sub_relaxed(&ours, 1);
    return result;
}

/* Whether the first thread has ended (it stays as a zombie until the others have) and all other threads are ours. False
 * also if that cannot be found out. */
static bool only_ours_are_left(void)
{
    char text[2048];
    int fd = tmi_os_open("/proc/self/status", O_RDONLY | O_CLOEXEC, 0);
    long n = fd < 0 ? 0 : tmi_os_read(fd, text, sizeof text - 1);
    if (fd >= 0)
        tmi_os_close(fd);
    text[n > 0 ? n : 0] = '\0';
    const char *threads = strstr(text, "\nThreads:\t");
    return strstr(text, "\nState:\tZ") != NULL && threads != NULL &&
           strtoul(threads + sizeof "\nThreads:", NULL, 10) == tmi_load_relaxed(&ours) + 1;
}

void tmi_helper_end_if_last(void)
{
    static uint32_t looked; // ms. Relaxed: it paces
    uint32_t now = tmi_os_now_ms();
    if (TMI_LIKELY(!tmi_load_relaxed(&tmi_thread_main_left)) ||
        now - tmi_load_relaxed(&looked) < TMI_HELPER_LOOK_MS / 2)
        return;
    tmi_store_relaxed(&looked, now);
    if (only_ours_are_left())
        exit(0); // what POSIX says about the last thread's end
}

static bool create(tmi_helper_t *h, size_t stack_bytes)
{
    pthread_attr_t attributes;
    pthread_t thread;
    if (pthread_attr_init(&attributes) != 0)
        return false;
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (stack_bytes > 0)
        (void)pthread_attr_setstacksize(&attributes, stack_bytes);
    bool created = pthread_create(&thread, &attributes, begin, h) == 0;
    (void)pthread_attr_destroy(&attributes);
    return created;
}

bool tmi_helper_runs(const tmi_helper_t *h) { return tmi_load_relaxed(&h->runs) != 0; } // relaxed: it paces

bool tmi_helper_run(tmi_helper_t *h)
{
    uint32_t next_try = tmi_load_relaxed(&h->next_try); // relaxed: one try too many does no harm
    if (tmi_helper_runs(h))
        return true;
    if (next_try != 0 && (int32_t)(tmi_os_now_ms() - next_try) < 0)
        return false;
    if (tmi_exchange_relaxed(&h->runs, 1)) // relaxed: only one of several callers continues
        return true;
    uint64_t signals = tmi_os_block_signals(); // the new thread inherits the mask
    bool created = create(h, STACK_BYTES) || create(h, 0);
    tmi_os_restore_signals(signals);
    if (!created) {
        tmi_store_relaxed(&h->next_try, (tmi_os_now_ms() + RETRY_MS) | 1);
        tmi_store_relaxed(&h->runs, 0);
    }
    return created;
}

bool tmi_helper_leave(tmi_helper_t *h, bool (*work)(void))
{
    tmi_store_relaxed(&h->runs, 0);
    tmi_fence_full(); // before the look: a thread that found it running before has stored its work before
    return !work() || tmi_exchange_relaxed(&h->runs, 1) != 0;
}

void tmi_helper_after_fork(tmi_helper_t *h)
{
    tmi_store_relaxed(&ours, 0);
    tmi_store_relaxed(&h->next_try, 0);
    tmi_store_relaxed(&h->runs, 0);
}
