/** tinymem.h - the public interface of tinymem.
 *
 *  A program that runs on tinymem by LD_PRELOAD=libtinymem.so or by linking -ltinymem needs nothing from this file:
 *  malloc and its family, and the C++ operators, are replaced as they stand.
 *
 *  What is declared here is the movable heap: tm_alloc gives a *handle*, and a handle gives an address for as long as
 *  it is pinned, or a scope is open, or it is locked. In between the library may move the object, and so keeps resident
 *  memory close to what is live. No thread ever waits for a move.
 *
 *      tm_handle_t h = tm_alloc(100);
 *      TM_PINNED(char, p, h) {
 *          strcpy(p, "stays here until the block ends");
 *      }
 *      tm_free(h);
 *
 *  Sizes are bytes. Functions that fail return TM_NULL, NULL or false and set errno; errno is left alone otherwise. All
 *  functions may be called from any thread at the same time. Pins, scopes, locks and their ends may also be called from
 *  signal handlers, on any thread at any instant; allocation may not.
 *
 *  Handles and threads: a handle must be handed over to another thread as any data is, by a release store that the
 *  other thread reads with acquire, or under a lock. That also holds for an object that one thread has written and
 *  another only frees: without it the other thread may see the object's word as it was before the allocation. */
#ifndef TINYMEM_TINYMEM_H
#define TINYMEM_TINYMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Version of the library in use, "major.minor.patch". Static storage. Any thread, any time. */
const char *tm_version(void);

/** A handle names one object for its whole life: index and generation. Copy it, store it, compare it. A handle of a
 *  freed object is recognised as stale at every use. Each index serves 16,384 objects and is then set aside. Indices
 *  that were set aside are used again, the longest unused first, only when no other index is left
 *  (tm_stats_t.revived_indices). That takes 3.5e13 objects, or under a limit of address space at least 1e9. Only a
 *  handle from before that can then equal a new one. */
typedef uint64_t tm_handle_t;

/** The handle of nothing. */
#ifdef __cplusplus
#define TM_NULL (tm_handle_t(0))
#else
#define TM_NULL ((tm_handle_t)0)
#endif

/** A handle without its generation, 4 bytes, for programs that store millions: a table of references costs 4 bytes a
 *  link. The reference of a freed object goes unnoticed once its index has a new one. */
typedef uint32_t tm_ref_t;

#include <tinymem/pin.h>

/** Allocate `size` bytes, aligned to 16, contents undefined. Size 0 is an object too, with an address of its own when
 *  pinned.
 *  @return  the handle, or TM_NULL with errno ENOMEM: no memory, no index, or size > PTRDIFF_MAX.
 *  @thread  any; not in signal handlers. Takes no lock on the common path. */
tm_handle_t tm_alloc(size_t size) __attribute__((__warn_unused_result__));

/** As tm_alloc for n * size bytes, all zero. ENOMEM when the product overflows. */
tm_handle_t tm_calloc(size_t n, size_t size) __attribute__((__warn_unused_result__));

/** As tm_alloc, aligned to `align`, which every move and tm_realloc keeps.
 *  @errors  EINVAL: not a power of two, or over 2 MiB; ENOMEM. */
tm_handle_t tm_alloc_aligned(size_t align, size_t size) __attribute__((__warn_unused_result__));

/** As tm_alloc_aligned for n * size bytes, all zero. ENOMEM when the product overflows; EINVAL comes first. */
tm_handle_t tm_calloc_aligned(size_t align, size_t n, size_t size) __attribute__((__warn_unused_result__));

/** As tm_alloc, near another object, for those that are used together: a node and its parent, an entry and its value.
 *  The new object is in the same OS page if it has room, or else as near as the slab of 64 to 256 KiB has; where that
 *  has none, and for objects of different size classes (tm_check), it is wherever tm_alloc would put it. Either may be
 *  moved later. Objects that have moved together mostly stay together.
 *  @param near  live handle, or TM_NULL: as tm_alloc. It may be pinned, locked or looked up, by anybody.
 *  @errors      near is stale: as tm_pin, and where that is no abort the place does not matter. Otherwise as tm_alloc.
 *  @thread      any; not in signal handlers. Where the thread's own free slots are not near it takes a lock for a
 *               moment, as tm_alloc seldom does. */
tm_handle_t tm_alloc_near(tm_handle_t near, size_t size) __attribute__((__warn_unused_result__));

/** Change the size; contents up to the smaller size stay. The handle stays the same, the address may change.
 *  The calling thread must hold no pin of it, nobody a lock, and no thread an address from tm_deref in an open scope.
 *  tm_realloc(TM_NULL, n) allocates; tm_realloc(h, 0) frees, returns TM_NULL and leaves errno alone.
 *  @return  h, or TM_NULL with errno ENOMEM, and the object is as it was. */
tm_handle_t tm_realloc(tm_handle_t h, size_t size) __attribute__((__warn_unused_result__));

/** Free an object. TM_NULL: nothing happens. The same demands on pins and locks as tm_realloc.
 *  @errors stale handle or double free (of two racing threads too), pinned by this thread, locked: one line on stderr,
 *  then abort
 *           (option `stale` for stale handles). Pinned by another thread: reported with check:full. */
void tm_free(tm_handle_t h);

/** Lock an object at its address: a pin that may outlive the function and be ended by any thread. Counted.
 *  The first lock of an object of up to 64 KiB moves it, if nobody uses it, to where only locked objects are: so
 *  it keeps no memory but its own, and may stay locked for the program's life. That takes some microseconds, and once.
 *  Inside a scope of the caller, with the object pinned, looked up in an open scope, or while another thread moves, it
 *  is locked where it is. For an address for a moment tm_pin is quicker.
 *  @return  the address; NULL for TM_NULL, for which neither call does anything, or when out of memory (ENOMEM).
 *  @errors  16,777,215 locks of one object are held: reported, then abort. */
void *tm_lock(tm_handle_t h);
/** End one lock. @errors  not locked: reported, then abort. */
void tm_unlock(tm_handle_t h);

/** Usable bytes, at least what was asked for; 0 for TM_NULL. A stale handle: as tm_pin. */
size_t tm_sizeof(tm_handle_t h);
/** Whether h is a live handle. Never reports. */
bool tm_valid(tm_handle_t h);
/** Whether h is live and an object of `size` bytes would have its usable size: a cheap check of type. Never reports,
 *  also when another thread frees h meanwhile. Not in signal handlers. */
bool tm_check(tm_handle_t h, size_t size);

/** Visit the live objects, one after the other, for a snapshot, say, while other threads allocate and free, and the
 *  mover moves.
 *
 *      static bool save(tm_handle_t h, void *file)
 *      {
 *          void *p = tm_try_pin(h);            // NULL: it has been freed this moment
 *          if (p != NULL) {
 *              fwrite(p, 1, tm_sizeof(h), file);
 *              tm_unpin(h);
 *          }
 *          return true;                        // go on
 *      }
 *      tm_each(save, file);
 *
 *  An object that lives during the whole call is visited once, whether it is moved or resized meanwhile or not. One
 *  that is allocated or freed meanwhile is visited once or not at all. What is freed before its turn comes, by the
 *  visitor or somebody else, is not visited; but another thread may free it between the look and the visit. Contents
 *  are the program's: that nobody writes them meanwhile, and that the writer's stores are seen, is up to it, as always.
 *  All objects of the process are visited, other libraries' too. The order is none that means anything.
 *  @param visit    called without a lock held. It may call every function, tm_each and tm_free of any object included,
 *                  and may leave by longjmp or an exception. false: that was enough.
 *  @param context  passed on.
 *  @return  how many were visited.
 *  @thread  any; not in signal handlers. Takes a lock for a moment each 512 places of the table of handles; the time
 *           goes by the most objects that the process has had at once. */
size_t tm_each(bool (*visit)(tm_handle_t h, void *context), void *context);

/** The handle of a pinned (or locked) object from its address; TM_NULL when `pinned` is not exactly the start of a live
 *  object. Takes a lock for a moment: not in signal handlers. */
tm_handle_t tm_handle_of(const void *pinned);
/** The 4-byte reference of a handle, 0 for TM_NULL. */
tm_ref_t tm_ref(tm_handle_t h);
/** The handle that the reference's index has now; TM_NULL when it is free. */
tm_handle_t tm_from_ref(tm_ref_t r);

/** As tm_ref(tm_alloc(size)): the reference, or 0 with errno ENOMEM. */
tm_ref_t tm_alloc_ref(size_t size) __attribute__((__warn_unused_result__));
/** As tm_free, by reference; 0: nothing happens. @errors no object there: as for a stale handle. See tm_pin_ref and
 *  tm_deref_ref. */
void tm_free_ref(tm_ref_t r);

/** For longjmp: how many pins this thread holds, and back to that number; those above are ended.
 *  @errors  fewer pins are held than at the mark: reported, then abort. */
unsigned tm_pin_mark(void);
void tm_pin_reset(unsigned mark);

/** The same for scopes, whose number is counted on its own: how many are open on this thread, and back to that number.
 *  Where setjmp returns, or a C++ exception is caught, both marks are reset:
 *
 *      unsigned pins = tm_pin_mark(), scopes = tm_scope_mark();   // volatile, if they are changed after setjmp
 *      if (setjmp(env) != 0) {
 *          tm_scope_reset(scopes);     // addresses from tm_deref in the scopes that end are good no more
 *          tm_pin_reset(pins);
 *      }
 *
 *  A mark is good on its thread while the scopes that it counts are open. A reset to the present number does nothing.
 *  @errors  fewer scopes are open than at the mark: reported, then abort.
 *  @thread  any, signal handlers too: a handler that leaves by longjmp ends its own. Never waits, never allocates. */
unsigned tm_scope_mark(void);
void tm_scope_reset(unsigned mark);

/** Compact now, as far as pins allow, and give the memory back. Waits for a move that another thread has under way.
 *  Works in every mode.
 *  @return  bytes by which committed memory fell. Inside a scope of the caller: 0, at once. */
size_t tm_compact(void);

/** One step of compaction, bounded in time: about `budget_us` microseconds, at least one small piece of work.
 *  @return true while another step could gain something now. Inside a scope of the caller, or while another thread
 *  moves: false, at once. */
bool tm_compact_step(unsigned budget_us);

/** What the mover does, from now on. TM_MOVER_BACKGROUND: a thread of its own, named tinymem-mover, moves when there is
 *  enough to gain. TM_MOVER_MANUAL: only tm_compact and tm_compact_step do. TM_MOVER_OFF: nothing moves. They begin as
 *  the options compaction, compact_cpu and compact_target say.
 *  @param mode    one of these.
 *  @param share   of one processor that the thread may take, 1 to 100 per cent; more when a heap is mostly holes.
 *  @param target  waste that a quiet program is left with, 0 to 1000 per cent of live bytes.
 *                 Each may be TM_MOVER_KEEP: as it was.
 *  @return  false with errno EINVAL, and nothing is changed.
 *  @thread  any; not in signal handlers. When it returns, no move is under way that the new mode forbids: it may wait
 *           for a piece of one. */
enum { TM_MOVER_KEEP = -1, TM_MOVER_BACKGROUND = 0, TM_MOVER_MANUAL = 1, TM_MOVER_OFF = 2 };
bool tm_mover_set(int mode, int share, int target);

/** Nothing moves from the return of tm_mover_pause until the matching tm_mover_resume, whatever the mode: tm_compact
 *  and tm_compact_step move nothing meanwhile, tm_lock leaves its object in place, and so an address stays good that
 *  was looked up without a pin. (tm_realloc does move its object.) They nest and count over all threads of the process,
 *  and may be called by different ones. A child of fork inherits the count.
 *  @errors  a resume without a pause, or 4,294,967,295 pauses: reported, then abort.
 *  @thread  any; not in signal handlers. A pause may wait for a piece of a move, a resume does not. */
void tm_mover_pause(void);
void tm_mover_resume(void);

/** Called after batches of moves, to log them, say. Counts and bytes since the last call. */
typedef struct tm_batch {
    size_t struct_size;     /**< what the library knows; fields beyond it are not there */
    size_t batches, dropped_batches;
    size_t moved_objects, moved_bytes, aborted_moves;
    uint64_t time_ns;       /**< spent moving */
} tm_batch_t;
typedef void tm_batch_call_t(const tm_batch_t *batch, void *context);

/** From now on `call` is called after each batch of the mover's thread, and after each tm_compact and tm_compact_step
 *  that has ended one, by that thread. There is one such function; NULL: none. It is called by one thread at a time,
 *  without a lock of the heap held, and may call every function; moves that it asks for itself are told with the next
 *  call. It must return, and soon: the mover's thread waits for it, a thread with all signals blocked. Moves that the
 *  library makes because memory is short, or for tm_lock, are told with the next call, too.
 *  @thread  any; not in signal handlers. When it returns, the function that was set before is not running any more,
 *           unless it is the caller. A child of fork keeps the function. */
void tm_mover_on_batch(tm_batch_call_t *call, void *context);

/** The calling thread is about to wait, in an event loop for instance. Gives a part of what is empty and not needed
 *  back to the kernel: about 0.1 ms of work, and a few ns when there is nothing to do. A program with several threads
 *  need not call it, since a helper thread does the same there. Any thread. */
void tm_idle(void);

/** Figures of the movable heap. Set struct_size to sizeof(tm_stats_t) first; what the library knows beyond that is left
 *  out, what it does not know is 0. Each figure was true a moment ago; they are not a snapshot. Bytes unless said
 *  otherwise. */
typedef struct tm_figures {
    size_t struct_size;
    size_t live_bytes;        /**< usable bytes of live objects */
    size_t live_objects;      /**< count */
    size_t committed_bytes;   /**< pages of slabs and extents that may be resident */
    size_t rounding_bytes;    /**< what size classes add, estimated from requests so far */
    size_t metadata_bytes;    /**< metadata of the library, both heaps */
    size_t table_bytes;       /**< pages of the handle table in use */
    size_t waste_bytes;       /**< committed less live */
    size_t moved_objects;     /**< count, so far */
    size_t moved_bytes;       /**< so far */
    size_t
        aborted_moves; /**< count, so far: dropped because the object was pinned, locked, freed or resized meanwhile */
    size_t aborted_by_touch;  /**< count: of these, by a pin or a look-up in a scope that found the mark */
    size_t aborted_by_scan;   /**< count: of these, because the mover found a pin or a lock */
    size_t aborted_by_free;   /**< count: of these, by a free or a resize */
    size_t batches;           /**< count, so far */
    size_t dropped_batches;   /**< count: of these, because a scope stayed open, or of fork */
    uint64_t longest_batch_ns;
    uint64_t longest_step_ns; /**< of tm_compact_step */
    size_t fences_global;     /**< membarrier(GLOBAL), so far */
    size_t fences_expedited;  /**< membarrier(PRIVATE_EXPEDITED), so far */
    size_t fences_none;       /**< batches that needed none: no other thread has used handles */
    bool asymmetric;          /**< pins need no fence of their own: membarrier works */
    size_t pins;              /**< count, of all threads, now */
    uint64_t oldest_pin_ns;   /**< how long the mover has seen the oldest pin that is still held */
    uint64_t time_ns;         /**< spent compacting, so far */
    size_t revived_indices;   /**< count, so far: indices that were set aside and are used again, see tm_handle_t */
    size_t mover_mode, mover_share, mover_target; /**< see tm_mover_set */
    size_t mover_paused;      /**< count, now: tm_mover_pause without its resume */
} tm_stats_t;
void tm_stats(tm_stats_t *out);

#ifdef __cplusplus
}
#endif

#endif
