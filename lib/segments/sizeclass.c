#include "segments/sizeclass.h"
#include "os/os.h"

tmi_class_info_t tmi_classes[TMI_CLASS_COUNT];

enum { SLOTS_MIN = 8, UNITS_OF_BIG_SLOTS = 4 };

static size_t step_of(unsigned step, unsigned per_doubling, size_t base)
{
    base <<= step / per_doubling;
    return base + base / per_doubling * (step % per_doubling + 1);
}

static size_t size_of(unsigned c)
{
    if (c <= 33)
        return c == 1 ? 8 : (size_t)(c - 1) * 16;
    return c <= 97 ? step_of(c - 34, 16, 512) : step_of(c - 98, 8, 8192);
}

void tmi_sizeclass_init(void)
{
    for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c++) {
        size_t size = size_of(c);
        unsigned units = TMI_UNIT_SIZE / size >= SLOTS_MIN ? 1 : UNITS_OF_BIG_SLOTS;
        size_t slots = units * TMI_UNIT_SIZE / size;
        tmi_classes[c] = (tmi_class_info_t){
            .reciprocal = (((uint64_t)1 << 40) + size - 1) / size,
            .size = (uint32_t)size,
            .slots = (uint32_t)slots,
            .units = (uint8_t)units,
            .end_page = (uint8_t)((slots * size - 1) >> tmi_os_page_shift),
        };
    }
}

unsigned tmi_class_of_aligned(size_t size, size_t align)
{
    unsigned c = tmi_class_of(tmi_round_up(tmi_max(size, 1), align)); // cannot pass TMI_SMALL_MAX, a multiple of align
    while (tmi_classes[c].size % align != 0)
        c++; // ends at a power of two at the latest, C2
    return c;
}
