/* heap_impl.h - declarations that heap.c, heap_init.c, heap_watched.c and heap_trim.c share. */
#ifndef TMI_HEAP_HEAP_IMPL_H
#define TMI_HEAP_HEAP_IMPL_H

#include "heap/heap.h"
#include "sampling/samples.h"

/* The option check:full: every block has a canary and a seal, see guard.h. Set before the heap is ready. */
extern bool tmi_heap_full_check;

/* 1: allocations take slow paths only to be counted for guarded blocks. */
extern uint32_t tmi_heap_counting;

/* Trim on the request of a tool. */
void tmi_heap_trim_by_request(void);

/* Record p, which is about to be handed out, as a sample. */
void tmi_heap_enter_sample(tmi_thread_t *t, void *p, size_t size, void *frame) TMI_COLD;
/* Forget the sample of p, if there is one, and that a sampled block begins in p's unit (S7). */
void tmi_heap_end_sample(const void *p) TMI_COLD;

/* The same, inline, if p can be a sample. Called before p is freed, since another block may then have its address. */
static inline void tmi_heap_forget_sample(const void *p)
{
    if (tmi_samples_may_have((uintptr_t)p))
        tmi_heap_end_sample(p);
}

#endif
