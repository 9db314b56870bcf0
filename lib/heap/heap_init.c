/* Makes the heap ready at its first use, on any thread. */
#include "heap/fork.h"
#include "heap/heap_impl.h"
#include "os/options.h"
#include "os/os.h"
#include "os/report.h"
#include "segments/segment.h"
#include "slabs/medium.h"
#include "slabs/raw.h"
#include "threads/depot.h"
#include "threads/request.h"
#include "threads/thread.h"

#include <stdlib.h>

bool tmi_heap_full_check;
static uint32_t state; // 0: not ready; 1: a thread is making it ready; 2: ready
static uint32_t readying; // ID of that thread

static TMI_COLD void ready_heap(void)
{
    if (!tmi_os_init()) {
        tmi_report("OS pages of this size are not supported");
        abort();
    }
    tmi_options_init();
    tmi_thread_init(tmi_options.stats == TMI_STATS_ON || tmi_options.check == TMI_CHECK_FULL);
    tmi_heap_full_check = tmi_raw_clean = tmi_options.check == TMI_CHECK_FULL;
    tmi_sizeclass_init();
    tmi_space_init();
    tmi_raw_init();
    tmi_medium_init();
    tmi_depot_init();
    tmi_pagemap_init();
    tmi_request_handle(TMI_REQUEST_TRIM, tmi_heap_trim_by_request);
}

void tmi_heap_init(void)
{
    uint32_t expected = 0;
    if (TMI_LIKELY(tmi_load_acquire(&state) == 2)) // pairs: the release below
        return;
    if (!tmi_cas_acquire(&state, &expected, 1)) {
        if (tmi_load_relaxed(&readying) == tmi_os_gettid())
            return; // in a signal handler on that thread: nothing can be allocated, and waiting would be a deadlock
        while (tmi_load_acquire(&state) != 2)
            tmi_cpu_relax();
        return;
    }
    tmi_store_relaxed(&readying, tmi_os_gettid()); // relaxed: a thread compares it with its own ID only
    ready_heap();
    tmi_store_relaxed(&tmi_heap_tiny, TMI_HEAP_TINY); // relaxed: a thread that sees it late takes the slow path
    tmi_store_release(&state, 2); // after everything above; pairs: the acquire at the start of this function
}

/* Runs before all other constructors of the process (libtinymem.so is linked with -z initfirst). So our fork handlers
 * run last before fork and first after it, and other handlers, which may allocate or wait for a thread that allocates,
 * find the heap unlocked. The first malloc is no place for this: it may be made by pthread_atfork, while its lock is
 * held. */
__attribute__((constructor(101))) static void begin(void)
{
    tmi_thread_make_key();
    tmi_os_note_cpus();
    tmi_fork_init();
}
