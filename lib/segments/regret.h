/* regret.h - bytes that were purged and fetched again soon.
 *
 * Idea: a purge was a mistake if memory is fetched again within some seconds: by the same size class, since its pages
 * can serve no other, or, for free spans, by any user of spans. Each class keeps a *debt*: the bytes that it has purged
 * lately. Bytes that it fetches from the kernel while it is in debt are counted as regretted_bytes, and the pacer keeps
 * as many more (need.h).
 *
 * Owner of a debt: the lock of its class. */
#ifndef TMI_SEGMENTS_REGRET_H
#define TMI_SEGMENTS_REGRET_H

#include "os/counters.h"
#include "os/os.h"

enum { TMI_REGRET_MS = 5000 }; // an older purge was right

typedef struct tmi_debt {
    size_t bytes;
    uint32_t since; // when something was last purged, ms
    uint32_t epoch; // of the last purge
} tmi_debt_t;

/* Purges of former epochs are not regretted, since the program has requested them. Relaxed: one debt more or less is
 * harmless. */
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
