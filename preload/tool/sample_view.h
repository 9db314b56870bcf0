/* sample_view.h - the tables of sampled blocks as they lie in a process (samples.c). */
#ifndef TMI_TOOL_SAMPLE_VIEW_H
#define TMI_TOOL_SAMPLE_VIEW_H

#include "sampling/samples.h"

typedef struct tmi_sample_view {
    uint64_t interval;
    tmi_site_t *sites;
    uint32_t *slots;
    uintptr_t *frames;
    size_t nsites, nframes;
    tmi_sample_t *entries;
    size_t nentries, capacity;
    uint64_t dropped, live_bytes, peak_bytes;
    bool peak_due;
} tmi_sample_view_t;

#endif
