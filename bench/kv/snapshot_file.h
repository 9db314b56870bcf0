/* snapshot_file.h - the file of a snapshot, written by a thread of its own: the server never waits for the disk.
 *
 * Idea: what is to be written is put into buffers; a full one goes to the thread. The server looks whether many are on
 * their way, and then pauses its walk. The thread sums and writes them, syncs the file and renames it.
 *
 * F1  A buffer belongs to the server until it is queued, then to the thread, which frees it.
 * F2  The name, the descriptor and the sum are the thread's from begin until snapshot_file_state says that it has
 *     ended.
 *
 * Locks: one mutex for the queue and the state. Fails: one line on stderr, and the state says so. */
#ifndef KV_SNAPSHOT_FILE_H
#define KV_SNAPSHOT_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* FAILING: it cannot be written, and the thread waits for the end. */
enum file_state { FILE_NONE, FILE_WRITING, FILE_FAILING, FILE_WRITTEN, FILE_FAILED };

/* Begin PATH.tmp. NULL: done; otherwise why not. FILE_NONE before. */
const char *snapshot_file_begin(const char *path);

void snapshot_file_put(const void *bytes, size_t len);

/* Many buffers are on their way. */
bool snapshot_file_is_busy(void);

/* Nothing more is put: sum, sync, rename. Or, not `good`: remove it. */
void snapshot_file_end(bool good);

/* WRITTEN and FAILED are said once, when the thread has ended; then the state is NONE. `wait`: after snapshot_file_end,
 * until it has. */
enum file_state snapshot_file_state(bool wait);

/* The checksum of more bytes; len is a multiple of 8, except in the last call. */
uint64_t snapshot_sum(uint64_t sum, const void *bytes, size_t len);

#endif
