/* counters.h - statistics, counted on slow paths only.
 *
 * Relaxed atomics: a counter orders nothing. A reader sees a recent value of each. A sum of several counters may miss
 * changes that are under way. */
#ifndef TMI_OS_COUNTERS_H
#define TMI_OS_COUNTERS_H

#include "base/atomic.h"
#include "base/base.h"

typedef struct tmi_counters {
#define TMI_COUNTER(name, meaning) size_t name;
#include "os/counters.def"
#undef TMI_COUNTER
} tmi_counters_t;

extern tmi_counters_t tmi_counters;

#define tmi_count(name, n) ((void)tmi_add_relaxed(&tmi_counters.name, (size_t)(n)))
#define tmi_discount(name, n) ((void)tmi_sub_relaxed(&tmi_counters.name, (size_t)(n)))
#define tmi_counter(name) tmi_load_relaxed(&tmi_counters.name)

#endif
