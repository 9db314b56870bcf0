/* reach.h - finds the sampled blocks that the program can still reach.
 *
 * Idea: a conservative scan. A block is reachable if a scanned word may be an address in it, or its handle. The scan
 * reads static data, stacks, registers of the calling thread and the program's own mappings, then the blocks found so
 * far, until it finds no more. It leaves out the library's own records, which contain the addresses of all blocks.
 *
 * With an interval of 1 every block allocated since the profile began is known. The scan then leaves out the rest of
 * the heap, which is mostly freed blocks. With a larger interval most blocks are not known. The scan then reads the
 * whole heap, and a block is lost only if no word in it points to the block.
 *
 * The scan does not see pointers in another form (compressed, XORed, tagged in the upper bits, 32-bit references of
 * handles), in shared memory, or in registers of other threads. A stale word, on a stack for example, makes a lost
 * block look reachable.
 *
 * Lock: the mover's, so that no object moves. The kernel reads the memory (os_memory.c), so that no access faults. */
#ifndef TMI_INSIGHT_REACH_H
#define TMI_INSIGHT_REACH_H

#include "insight/maps.h"
#include "sampling/samples.h"

/* Sort the snapshot's entries by key, and set reached[i] to 1 for reachable ones, else 0. `frame` is the caller's; the
 * stack below it is not scanned. False: no scan is possible on this system. */
bool tmi_reach(tmi_snapshot_t *samples, tmi_maps_t *maps, uint8_t *reached, void *frame) TMI_COLD;

#endif
