#include "sampling/history.h"
#include "os/os.h"

#include <string.h>

tmi_lock_t tmi_history_lock = TMI_LOCK_OF(TMI_RANK_HISTORY);

static tmi_past_t *ring; // under the lock; NULL until the first free
static uint64_t noted;   // entries written so far; the next one goes to noted % TMI_HISTORY_ENTRIES

static bool make_ring(void)
{
    void *p;
    size_t nbytes = tmi_round_up(TMI_HISTORY_ENTRIES * sizeof(tmi_past_t), tmi_os_page_size);
    if (ring == NULL && tmi_os_map_records(nbytes, &p) == 0)
        ring = p;
    return ring != NULL;
}

void tmi_history_note(uint64_t key, uint64_t size, const uintptr_t *frames, uint32_t depth)
{
    tmi_trace_t here;
    tmi_trace_capture_inside(&here, __builtin_frame_address(0), true);
    tmi_lock(&tmi_history_lock);
    if (make_ring()) {
        tmi_past_t *e = &ring[noted++ % TMI_HISTORY_ENTRIES];
        e->key = key;
        e->size = size;
        e->freed = here;
        e->allocated.thread = 0; // unknown: a sample does not record its thread
        e->allocated.depth = tmi_min(depth, TMI_STACK_MAX);
        memcpy(e->allocated.frames, frames, e->allocated.depth * sizeof *frames);
    }
    tmi_unlock(&tmi_history_lock);
}

static bool holds(const tmi_past_t *e, uint64_t key)
{
    return e->key == key || (e->key >> 63 == 0 && key - e->key < e->size);
}

bool tmi_history_find(uint64_t key, tmi_past_t *out)
{
    bool found = false;
    if (!tmi_trylock_untraced(&tmi_history_lock))
        return false;
    uint64_t n = tmi_min(noted, TMI_HISTORY_ENTRIES);
    for (uint64_t i = 1; i <= n && !found; i++) {
        const tmi_past_t *e = &ring[(noted - i) % TMI_HISTORY_ENTRIES];
        found = holds(e, key);
        if (found)
            *out = *e;
    }
    tmi_unlock_untraced(&tmi_history_lock);
    return found;
}
