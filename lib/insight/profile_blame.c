/* Which sites keep empty memory resident. Each sampled block is charged with its share of the free bytes in its pages,
 * times the number of blocks that it stands for. All shares of a heap add up to what the statistics call stranded and
 * slack. */
#include "os/os.h"
#include "insight/profile.h"
#include "slabs/raw.h"

bool tmi_profile_charge(tmi_profile_t *p)
{
    void *q;
    const tmi_snapshot_t *s = &p->samples;
    uint32_t index;
    p->stranded_bytes = tmi_round_up(s->nsites * sizeof(uint64_t) + 1, TMI_UNIT_SIZE);
    if (tmi_os_map_records(p->stranded_bytes, &q) != 0)
        return false;
    p->stranded = q;
    for (size_t i = 0; i < s->nentries; i++) {
        uint64_t blocks, bytes, key = s->entries[i].key;
        if (tmi_samples_is_index(key, &index))
            continue; // an object that can be moved keeps no page resident
        tmi_samples_weigh(s->entries[i].size, s->interval, &blocks, &bytes);
        uint64_t each = tmi_raw_stranded_by((const void *)(uintptr_t)key);
        p->stranded[s->entries[i].site] += each * (blocks / 16) / (TMI_SAMPLES_BLOCK / 16);
    }
    return true;
}

void tmi_profile_uncharge(tmi_profile_t *p)
{
    if (p->stranded != NULL)
        (void)tmi_os_unmap(p->stranded, p->stranded_bytes);
    p->stranded = NULL;
}
