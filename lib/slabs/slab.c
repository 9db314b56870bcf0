/* Functions of levels and bitmaps that are not inline. */
#include "os/report.h"
#include "slabs/slab_bitmap.h"
#include "slabs/slab_levels.h"

/* ---- levels ------------------------------------------------------------------------------------------------------ */

void tmi_levels_init(tmi_levels_t *levels)
{
    for (unsigned l = 0; l < TMI_LEVELS; l++)
        tmi_dlist_init(&levels->lists[l]);
}

void tmi_levels_move(tmi_levels_t *levels, tmi_dlist_t *link, uint8_t *level, unsigned to)
{
    if (*level == to)
        return;
    if (*level < TMI_LEVELS) {
        tmi_dlist_remove(link);
        if (tmi_dlist_empty(&levels->lists[*level]))
            levels->nonempty &= ~(1u << *level);
    }
    *level = (uint8_t)to;
    if (to < TMI_LEVELS) {
        tmi_dlist_push_front(&levels->lists[to], link);
        levels->nonempty |= 1u << to;
    }
}

bool tmi_levels_has(const tmi_levels_t *levels, const tmi_dlist_t *link, unsigned level)
{
    return level < TMI_LEVELS && tmi_dlist_contains(&levels->lists[level], link);
}

void tmi_levels_check(const tmi_levels_t *levels, const void *where)
{
    for (unsigned l = 0; l < TMI_LEVELS; l++)
        tmi_audit(tmi_dlist_empty(&levels->lists[l]) == !(levels->nonempty >> l & 1), "Y1 the set of levels", where);
}

/* ---- bitmaps ----------------------------------------------------------------------------------------------------- */

size_t tmi_bitmap_count(const uint64_t *bits, unsigned n)
{
    size_t count = 0;
    for (unsigned w = 0; w < tmi_bitmap_words(n); w++)
        count += tmi_popcount(bits[w]);
    return count;
}

bool tmi_bitmap_set_past(const uint64_t *bits, unsigned n)
{
    return n % 64 != 0 && (bits[n / 64] & ~tmi_low_bits(n % 64)) != 0;
}

bool tmi_bitmap_set_before(const uint64_t *bits, unsigned word)
{
    while (word-- > 0)
        if (bits[word] != 0)
            return true;
    return false;
}
