/* regret.h - bytes that were given back to the kernel and wanted again soon.
 *
 * Idea: purging was a mistake when what was purged is taken anew within some seconds, by the same size class (its pages
 * can serve no other) or by whoever wants a free span. Each keeps a *debt*: what it has purged lately. What it then has
 * to fetch from the kernel while it is in debt is counted, regretted_bytes, and the pacer keeps so much more (pacer.h).
 *
 * Owner of a debt: the lock of whoever has it. */
#ifndef TMI_SEGMENTS_REGRET_H
#define TMI_SEGMENTS_REGRET_H

#include "os/counters.h"
#include "os/os.h"

enum { TMI_REGRET_MS = 5000 }; // longer ago it was right

typedef struct tmi_debt {
    size_t bytes;
    uint32_t since; // when something was last purged, ms
    uint32_t epoch; // of the last purge
} tmi_debt_t;

/* Purges of former epochs are not regretted: the program has asked for them. Relaxed: a debt more or less. */
extern uint32_t tmi_regret_epoch;

static inline bool tmi_debt_is_old(const tmi_debt_t *d)
{
    return d->epoch != tmi_load_relaxed(&tmi_regret_epoch) || tmi_os_now_ms() - d->since > TMI_REGRET_MS;
}

static inline void tmi_debt_add(tmi_debt_t *d, size_t bytes)
{
    d->bytes = tmi_debt_is_old(d) ? bytes : d->bytes + bytes;
    d->since = tmi_os_now_ms();
    d->epoch = tmi_load_relaxed(&tmi_regret_epoch);
}

/* So many bytes are fetched from the kernel. */
static inline size_t tmi_debt_pay(tmi_debt_t *d, size_t bytes)
{
    if (TMI_LIKELY(d->bytes == 0))
        return 0;
    if (tmi_debt_is_old(d))
        d->bytes = 0;
    size_t regretted = tmi_min(bytes, d->bytes);
    d->bytes -= regretted;
    tmi_count(regretted_bytes, regretted);
    return regretted;
}

#endif
