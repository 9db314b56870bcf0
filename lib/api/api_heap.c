/* The functions of <tinymem/heap.h>. */
#pragma GCC visibility push(default)
#include "tinymem/heap.h"
#pragma GCC visibility pop

#include "heap/account.h"
#include "heap/stats.h"

void tm_heap_stats(tm_heap_stats_t *out) { tmi_account_read(out); }
size_t tm_stats_json(char *buf, size_t size) { return tmi_stats_json(buf, size); }
size_t tm_stats_prometheus(char *buf, size_t size) { return tmi_stats_prometheus(buf, size); }
