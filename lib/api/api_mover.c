/* The functions of <tinymem/tinymem.h> that control the mover. */
#pragma GCC visibility push(default)
#include "base/public.h"
#pragma GCC visibility pop

#include "heap/heap.h"
#include "os/options.h"
#include "os/report.h"
#include "threads/compactor.h"

#include <errno.h>

_Static_assert((int)TM_MOVER_BACKGROUND == (int)TMI_COMPACTION_BACKGROUND &&
                   (int)TM_MOVER_MANUAL == (int)TMI_COMPACTION_MANUAL && (int)TM_MOVER_OFF == (int)TMI_COMPACTION_OFF,
               "modes are the option's");

static bool within(int value, int least, int most)
{
    return value == TM_MOVER_KEEP || (value >= least && value <= most);
}

bool tm_mover_set(int mode, int share, int target)
{
    if (!within(mode, TM_MOVER_BACKGROUND, TM_MOVER_OFF) || !within(share, 1, 100) || !within(target, 0, 1000)) {
        errno = EINVAL;
        return false;
    }
    tmi_heap_init(); // which reads the options
    // relaxed: independent values
    if (share != TM_MOVER_KEEP)
        tmi_store_relaxed(&tmi_options.compact_cpu, (uint32_t)share);
    if (target != TM_MOVER_KEEP)
        tmi_store_relaxed(&tmi_options.compact_target, (uint32_t)target);
    if (mode != TM_MOVER_KEEP)
        tmi_compact_set_mode((uint32_t)mode);
    tmi_compactor_poll();
    return true;
}

void tm_mover_pause(void)
{
    tmi_heap_init();
    if (!tmi_compact_pause())
        tmi_fatal("tm_mover_pause", NULL, "4,294,967,295 pauses");
}

void tm_mover_resume(void)
{
    if (!tmi_compact_resume())
        tmi_fatal("tm_mover_resume", NULL, "the mover is not paused");
    tmi_compactor_poll();
}

void tm_mover_on_batch(tm_batch_call_t *call, void *context) { tmi_compactor_set_callback(call, context); }
