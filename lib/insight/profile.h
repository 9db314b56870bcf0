/* profile.h - the sampled profile as files, and when these are written.
 *
 * Idea: a report is made from a copy of the sites (tmi_samples_snapshot), so that no lock is held while a disk is slow.
 * It uses memory of its own, so that the profiled heap does not change. It is written at exit, on a signal, when a tool
 * leaves a request, at a new peak, and by tm_profile_dump. A signal handler writes it at once, unless the samples are
 * locked: then the next slow path writes it.
 *
 * Forms: profile_heap.c the legacy text, profile_pprof.c profile.proto, profile_folded.c a line a stack,
 * profile_dhat.c JSON, profile_words.c a report in words, profile_leaks.c one of leaks (reach.h). profile_blame.c
 * computes which sites keep empty memory resident.
 *
 * Fails: a file that cannot be opened or written is reported in one line on stderr, and the program continues. */
#ifndef TMI_INSIGHT_PROFILE_H
#define TMI_INSIGHT_PROFILE_H

#include "insight/maps.h"
#include "insight/writer.h"
#include "sampling/samples.h"

/* As tm_profile_start, tm_profile_stop and tm_profile_dump. */
int tmi_profile_start(size_t interval);
void tmi_profile_stop(void);
int tmi_profile_dump(const char *path);

/* Called at the start of a process that has options, and at its end. */
void tmi_profile_at_start(void) TMI_COLD;
void tmi_profile_at_exit(void) TMI_COLD;

/* The data of a report, which the functions below write in different forms. */
typedef struct tmi_profile {
    tmi_snapshot_t samples;
    tmi_maps_t maps;
    tmi_writer_t *out;
    uint64_t *stranded; // for each site, the free bytes that its blocks keep resident; NULL: not known
    size_t stranded_bytes;
} tmi_profile_t;

void tmi_profile_heap(tmi_profile_t *p);
void tmi_profile_pprof(tmi_profile_t *p);
void tmi_profile_folded(tmi_profile_t *p);
void tmi_profile_dhat(tmi_profile_t *p);
void tmi_profile_words(tmi_profile_t *p);
/* `frame`: the stack below it belongs to the library. */
void tmi_profile_leaks(tmi_profile_t *p, void *frame);

/* Compute `stranded`. Takes the lock of the class of each sampled block, so signal handlers must not call it. False: no
 * memory. */
bool tmi_profile_charge(tmi_profile_t *p);
void tmi_profile_uncharge(tmi_profile_t *p);

/* Sites 1 to nsites - 1 have a stack; site 0 sums the samples without one (I2). */
static inline const uintptr_t *tmi_profile_frames(const tmi_profile_t *p, const tmi_site_t *site)
{
    return p->samples.frames + site->first;
}

/* Numbers for return addresses, from 1, in the order of their first use. A writer walks the sites twice in the same
 * order: once to write the numbers, and once to write the table of numbered addresses. */
typedef struct tmi_frame_table {
    uintptr_t *addresses; // open addressing
    uint32_t *numbers;    // 0: free
    size_t capacity, nbytes;
    uint32_t used;
} tmi_frame_table_t;

/* False: no memory. */
bool tmi_frames_open(tmi_frame_table_t *t, const tmi_snapshot_t *samples);
void tmi_frames_rewind(tmi_frame_table_t *t);
void tmi_frames_close(tmi_frame_table_t *t);
/* The number of an address. *fresh: the number is new. */
uint32_t tmi_frame_number(tmi_frame_table_t *t, uintptr_t address, bool *fresh);

/* The name of a return address: function, or else file and offset, or else the number. */
void tmi_profile_frame_name(tmi_profile_t *p, uintptr_t address, char *out, size_t size);

#endif
