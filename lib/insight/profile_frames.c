/* The numbers of return addresses in a file. */
#include "os/os.h"
#include "insight/profile.h"

#include <string.h>

bool tmi_frames_open(tmi_frame_table_t *t, const tmi_snapshot_t *samples)
{
    void *p;
    size_t nframes = 1;
    for (size_t i = 0; i < samples->nsites; i++)
        nframes += samples->sites[i].depth;
    t->capacity = (size_t)4 << tmi_log2(nframes); // more than twice as many
    t->nbytes = tmi_round_up(t->capacity * (sizeof(uintptr_t) + sizeof(uint32_t)), TMI_UNIT_SIZE);
    if (tmi_os_map_records(t->nbytes, &p) != 0)
        return false;
    t->addresses = p;
    t->numbers = (uint32_t *)(void *)(t->addresses + t->capacity);
    t->used = 0;
    return true;
}

void tmi_frames_rewind(tmi_frame_table_t *t)
{
    memset(t->numbers, 0, t->capacity * sizeof *t->numbers);
    t->used = 0;
}

void tmi_frames_close(tmi_frame_table_t *t) { (void)tmi_os_unmap(t->addresses, t->nbytes); }

uint32_t tmi_frame_number(tmi_frame_table_t *t, uintptr_t address, bool *fresh)
{
    size_t i = (size_t)(address * 0x9e3779b97f4a7c15 >> 20) & (t->capacity - 1);
    while (t->numbers[i] != 0 && t->addresses[i] != address)
        i = (i + 1) & (t->capacity - 1);
    *fresh = t->numbers[i] == 0;
    if (*fresh) {
        t->addresses[i] = address;
        t->numbers[i] = ++t->used;
    }
    return t->numbers[i];
}
