/* regret.h - count the bytes that were purged and soon fetched from the kernel again.
 *
 * Idea: a purge was a mistake if memory is fetched again within TMI_REGRET_MS: by the same size class, since its pages
 * can serve no other, or, for free spans, by any user of spans. Each class has a *debt*: the bytes that it has purged
 * lately. Bytes that it fetches from the kernel while it has a debt are counted as regretted_bytes, and the pacer keeps
 * as many more (need.h).
 *
 * Owner of a debt: the lock of its class. */
#ifndef TMI_SEGMENTS_REGRET_H
#define TMI_SEGMENTS_REGRET_H

#include "os/counters.h"
#include "os/os.h"

enum { TMI_REGRET_MS = 5000 }; // older purges were no mistake

typedef struct tmi_debt {
    size_t bytes;
    uint32_t since; // time of the last purge, ms
    uint32_t epoch; // tmi_regret_epoch at the last purge
} tmi_debt_t;

/* Purges of former epochs are never regretted: the program requested them. Relaxed: a race misjudges one purge. */
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

/* Pay off a debt with bytes that are fetched from the kernel. Returns how many of them are regretted. */
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
