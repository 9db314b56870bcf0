/* work.h - how much is done at a time: entries, buckets and blocks that are looked at, counted.
 *
 * Times depend on the machine and on who else runs; these numbers do not. INFO tells the largest number that one
 * command took, and the largest of one step between commands. tests/kv/steps.py bounds them. */
#ifndef KV_WORK_H
#define KV_WORK_H

#include <stdint.h>

extern uint64_t work_done;

struct work_most {
    uint64_t command, step;
};
extern struct work_most work_most;

static inline void work_note(uint64_t *most, uint64_t before)
{
    uint64_t n = work_done - before;
    if (__builtin_expect(n > *most, 0))
        *most = n;
}

#endif
