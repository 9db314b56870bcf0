/* reach.h - which of the sampled blocks the program can still reach.
 *
 * Idea: a conservative scan. Whatever looks like an address in a known block, or like the handle of a known object,
 * keeps it. Words are looked at in static data, stacks, registers of the calling thread and the program's own mappings,
 * and then in the blocks that have been found, until no more are. The library's own records are left out, since they
 * have the addresses of all blocks.
 *
 * With an interval of 1 all blocks since the profile began are known, and what else lies in the heap, freed blocks
 * above all, is not looked at. With a larger interval most blocks are not known: then the whole heap is looked at, and
 * only what nothing points to is lost.
 *
 * Not seen: pointers in hidden form (compressed, XORed, tagged in the upper bits; references of handles in 32 bits), in
 * shared memory, in registers of other threads; and stale words, on stacks above all, keep what is lost.
 *
 * Lock: the mover's, so that no object moves. Memory is read by the kernel (os_memory.c). */
#ifndef TMI_INSIGHT_REACH_H
#define TMI_INSIGHT_REACH_H

#include "insight/maps.h"
#include "sampling/samples.h"

/* Sort the snapshot's entries by key and set reached[i] to 1 for those that can be reached, else 0. `frame`: of the
 * caller; what lies below on its stack is not looked at. False: this cannot be told here. */
bool tmi_reach(tmi_snapshot_t *samples, tmi_maps_t *maps, uint8_t *reached, void *frame) TMI_COLD;

#endif
