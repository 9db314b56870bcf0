/* stats.h - the figures of account.h as text: JSON, Prometheus' exposition format, and what malloc_info prints.
 *
 * Idea: one list of names (stats.def) for all formats. The rows are collected first, in pages that are mapped for the
 * purpose, since Prometheus' format groups them by figure. The text goes to the caller's buffer as far as it fits; its
 * whole length is counted.
 *
 * Locks: none; any thread at any instant, also in signal handlers; errno does not change. Fails: 0 when the kernel
 * gives no pages. */
#ifndef TMI_HEAP_STATS_H
#define TMI_HEAP_STATS_H

#include "heap/account.h"

/* As tm_stats_json and tm_stats_prometheus. */
size_t tmi_stats_json(char *buf, size_t size) TMI_COLD;
size_t tmi_stats_prometheus(char *buf, size_t size) TMI_COLD;

/* The words for a heap and for a kind of class in all texts. */
const char *tmi_stats_heap(size_t heap);
const char *tmi_stats_kind(size_t kind);

#endif
