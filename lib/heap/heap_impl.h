/* heap_impl.h - what heap.c, heap_init.c, heap_watched.c and heap_trim.c share. */
#ifndef TMI_HEAP_HEAP_IMPL_H
#define TMI_HEAP_HEAP_IMPL_H

#include "heap/heap.h"
#include "sampling/samples.h"

/* check:full: every block is looked at, see guard.h. Set before the heap is ready. */
extern bool tmi_heap_full_check;

/* 1: allocations take slow paths only to be counted for guarded blocks. */
extern uint32_t tmi_heap_counting;

/* When a tool asks for it. */
void tmi_heap_trim_by_request(void);

/* p is a sample, and about to be handed out. */
void tmi_heap_enter_sample(tmi_thread_t *t, void *p, size_t size, void *frame) TMI_COLD;
/* p is no sample any more. */
void tmi_heap_end_sample(const void *p) TMI_COLD;

/* p is about to be freed, and its place may be another block's. */
static inline void tmi_heap_forget_sample(const void *p)
{
    if (tmi_samples_may_have((uintptr_t)p))
        tmi_heap_end_sample(p);
}

#endif
