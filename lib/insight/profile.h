/* profile.h - the sampled profile as files, and when it is written.
 *
 * Idea: a report is made of a copy of the sites (tmi_samples_snapshot), so that no lock is held while a disk is slow,
 * and of memory of its own, so that the heap that is looked at does not change. It is written at exit, on a signal (in
 * the handler; or by the next slow path if the samples are locked just then), when a tool leaves a request, at a new
 * peak, and by tm_profile_dump.
 *
 * Forms: profile_heap.c the legacy text, profile_pprof.c profile.proto, profile_folded.c a line a stack,
 * profile_dhat.c JSON, profile_words.c a report in words, profile_leaks.c one of leaks (reach.h). profile_blame.c
 * tells who keeps empty memory.
 *
 * Fails: a file that cannot be opened or written is one line on stderr, and the program goes on. */
#ifndef TMI_INSIGHT_PROFILE_H
#define TMI_INSIGHT_PROFILE_H

#include "insight/maps.h"
#include "insight/writer.h"
#include "sampling/samples.h"

/* As tm_profile_start, tm_profile_stop and tm_profile_dump. */
int tmi_profile_start(size_t interval);
void tmi_profile_stop(void);
int tmi_profile_dump(const char *path);

/* At the start of a process with options, and at its end. */
void tmi_profile_begin(void) TMI_COLD;
void tmi_profile_end(void) TMI_COLD;

/* What a form writes from. */
typedef struct tmi_profile {
    tmi_snapshot_t samples;
    tmi_maps_t maps;
    tmi_writer_t *out;
    uint64_t *hostage; // by site, bytes that its blocks keep empty; NULL: not known
    size_t nhostage;
} tmi_profile_t;

void tmi_profile_heap(tmi_profile_t *p);
void tmi_profile_pprof(tmi_profile_t *p);
void tmi_profile_folded(tmi_profile_t *p);
void tmi_profile_dhat(tmi_profile_t *p);
void tmi_profile_words(tmi_profile_t *p);
/* `frame`: what lies below it on the caller's stack is the library's. */
void tmi_profile_leaks(tmi_profile_t *p, void *frame);

/* Find `hostage`: locks the class of each sampled block, so not in a signal handler. False: no memory. */
bool tmi_profile_charge(tmi_profile_t *p);
void tmi_profile_uncharge(tmi_profile_t *p);

/* The sites that have a stack are 1 to nsites - 1; site 0 is for the rest. */
static inline const uintptr_t *tmi_profile_frames(const tmi_profile_t *p, const tmi_site_t *site)
{
    return p->samples.frames + site->first;
}

/* Return addresses numbered from 1 in the order in which they are first asked for. Forms go through the sites twice:
 * once for the numbers, and once more, in the same order, for what the numbers stand for. */
typedef struct tmi_frame_table {
    uintptr_t *addresses; // open addressing
    uint32_t *numbers;    // 0: free
    size_t capacity, nbytes;
    uint32_t used;
} tmi_frame_table_t;

/* False: no memory. */
bool tmi_frames_open(tmi_frame_table_t *t, const tmi_snapshot_t *samples);
void tmi_frames_restart(tmi_frame_table_t *t);
void tmi_frames_close(tmi_frame_table_t *t);
/* *fresh: it has just been given its number. */
uint32_t tmi_frame_number(tmi_frame_table_t *t, uintptr_t address, bool *fresh);

/* What a return address is called: function, or file and offset, or the number. */
void tmi_profile_frame_name(tmi_profile_t *p, uintptr_t address, char *out, size_t size);

#endif
