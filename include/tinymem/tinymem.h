/** tinymem.h - the public interface of tinymem.
 *
 *  A program that runs on tinymem by LD_PRELOAD=libtinymem.so or by linking -ltinymem needs nothing from this file:
 *  malloc and its family, and the C++ operators, are replaced as they stand.
 *
 *  This file declares the movable heap. tm_alloc returns a *handle*. An object has a fixed address only while it is
 *  pinned or locked, or while a scope is open in which it was looked up. At other times the library may move the
 *  object, and so keeps resident memory close to what is live. No thread ever waits for a move.
 *
 *      tm_handle_t h = tm_alloc(100);
 *      TM_PINNED(char, p, h) {
 *          strcpy(p, "stays here until the block ends");
 *      }
 *      tm_free(h);
 *
 *  Sizes are bytes. Functions that fail return TM_NULL, NULL or false and set errno. Otherwise they do not change
 *  errno. Any thread may call any function at any time. Signal handlers may begin and end pins, scopes and locks, on
 *  any thread at any instant. They must not allocate.
 *
 *  Handles and threads: hand a handle to another thread like any data, by a release store that the other thread reads
 *  with acquire, or under a lock. Do so even if the other thread only frees the object. Otherwise that thread may see
 *  the object's word as it was before the allocation. */
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

/** A handle names one object for its whole life. It consists of an index and a generation. Copy it, store it, compare
 *  it. Every use of a freed object's handle is recognised as stale. Each index serves 16,384 objects and is then set
 *  aside. Indices that were set aside are used again, the longest unused first, only when no other index is left
 *  (tm_stats_t.revived_indices). That takes 3.5e13 objects, or under a limit of address space at least 1e9. Only from
 *  then on can the handle of a freed object equal a new one. */
typedef uint64_t tm_handle_t;

/** The handle of nothing. */
#ifdef __cplusplus
#define TM_NULL (tm_handle_t(0))
#else
#define TM_NULL ((tm_handle_t)0)
#endif

/** A handle without its generation, 4 bytes, for programs that store millions: a table of references costs 4 bytes a
 *  link. The reference of a freed object is not noticed as stale once its index has a new object. */
typedef uint32_t tm_ref_t;

#include <tinymem/pin.h>

/** Allocate `size` bytes, aligned to 16, contents undefined. Size 0 gives an object, too, with an address of its own
 *  when pinned.
 *  @return  the handle, or TM_NULL with errno ENOMEM: no memory, no index, or size > PTRDIFF_MAX.
 *  @thread  any; not in signal handlers. Takes no lock on the common path. */
tm_handle_t tm_alloc(size_t size) __attribute__((__warn_unused_result__));

/** As tm_alloc for n * size bytes, all zero. ENOMEM when the product overflows. */
tm_handle_t tm_calloc(size_t n, size_t size) __attribute__((__warn_unused_result__));

/** As tm_alloc, aligned to `align`. Moves and tm_realloc keep the alignment.
 *  @errors  EINVAL: not a power of two, or over 2 MiB; ENOMEM. */
tm_handle_t tm_alloc_aligned(size_t align, size_t size) __attribute__((__warn_unused_result__));

/** As tm_alloc_aligned for n * size bytes, all zero. ENOMEM when the product overflows; EINVAL comes first. */
tm_handle_t tm_calloc_aligned(size_t align, size_t n, size_t size) __attribute__((__warn_unused_result__));

/** As tm_alloc, near another object. For objects that are used together: a node and its parent, an entry and its value.
 *  The new object lies in the same OS page if that page has room, or else as near as possible in the same slab of 64 to
 *  256 KiB. If the slab has no room, or the objects are of different size classes (tm_check), the new object lies where
 *  tm_alloc would put it. Both may move later. They mostly stay together.
 *  @param near  live handle, or TM_NULL: as tm_alloc. Any thread may have pinned, locked or looked up the object.
 *  @errors      near is stale: as tm_pin; without an abort the object is allocated anywhere. Otherwise as tm_alloc.
 *  @thread      any; not in signal handlers. If none of the thread's own free slots is near, it takes a lock for a
 *               moment, which tm_alloc seldom does. */
tm_handle_t tm_alloc_near(tm_handle_t near, size_t size) __attribute__((__warn_unused_result__));

/** Change the size. Contents up to the smaller size stay. The handle stays the same; the address may change. The
 *  calling thread must not have pinned the object, no thread may have locked it, and no thread may use an address of it
 *  from tm_deref in an open scope. tm_realloc(TM_NULL, n) allocates. tm_realloc(h, 0) frees, returns TM_NULL and does
 *  not change errno.
 *  @return  h; or TM_NULL with errno ENOMEM, and the object is unchanged. */
tm_handle_t tm_realloc(tm_handle_t h, size_t size) __attribute__((__warn_unused_result__));

/** Free an object. TM_NULL: does nothing. The rules of tm_realloc for pins and locks apply.
 *  @errors  a stale handle or double free (also by two racing threads), an object that this thread has pinned, a locked
 *           object: one line on stderr, then abort (option `stale` for stale handles). With check:full also an object
 *           that another thread has pinned. */
void tm_free(tm_handle_t h);

/** Lock an object at its address. A lock is a pin that may outlive the function, and any thread may end it. Locks are
 *  counted. The first lock of an object of up to 64 KiB moves the object, if no thread uses it, to a place for locked
 *  objects only. There it keeps no memory but its own, and may stay locked as long as the program runs. The move takes
 *  some microseconds. The object is not moved inside a scope of the caller, if it is pinned or looked up in an open
 *  scope, or while another thread moves objects. To hold an address for a moment tm_pin is quicker.
 *  @return  the address; NULL if out of memory (ENOMEM). For TM_NULL the result is NULL, and neither call does
 *           anything.
 *  @errors  16,777,215 locks of one object are held: reported, then abort. */
void *tm_lock(tm_handle_t h);
/** End one lock. @errors  not locked: reported, then abort. */
void tm_unlock(tm_handle_t h);

/** Usable bytes, at least the requested size; 0 for TM_NULL. A stale handle: as tm_pin. */
size_t tm_sizeof(tm_handle_t h);
/** Whether h is a live handle. Never reports. */
bool tm_valid(tm_handle_t h);
/** Whether h is live and has the usable size of an object of `size` bytes. It serves as a cheap check of the type.
 *  Never reports, even if another thread frees h meanwhile. Not in signal handlers. */
bool tm_check(tm_handle_t h, size_t size);

/** Visit the live objects one after the other, for a snapshot, for example. Meanwhile other threads may allocate and
 *  free, and the mover may move objects.
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
 *  An object that lives during the whole call is visited once, even if it is moved or resized meanwhile. An object that
 *  is allocated or freed meanwhile is visited at most once. An object that is freed before its turn, by the visitor or
 *  another thread, is not visited; but another thread may free it between the check and the visit. As always, the
 *  program must make sure that no thread writes the contents meanwhile, and that the visitor sees earlier stores. All
 *  objects of the process are visited, also those of other libraries. The order has no meaning.
 *  @param visit    called without locks. It may call every function, including tm_each and tm_free of any object, and
 *                  may leave by longjmp or an exception. It returns false to end the visits.
 *  @param context  passed to `visit`.
 *  @return  how many objects were visited.
 *  @thread  any; not in signal handlers. Takes a lock for a moment for each 512 entries of the table of handles. The
 *           time is proportional to the most objects that the process has had at once. */
size_t tm_each(bool (*visit)(tm_handle_t h, void *context), void *context);

/** The handle of a pinned (or locked) object from its address; TM_NULL when `pinned` is not exactly the start of a live
 *  object. Takes a lock for a moment: not in signal handlers. */
tm_handle_t tm_handle_of(const void *pinned);
/** The 4-byte reference of a handle, 0 for TM_NULL. */
tm_ref_t tm_ref(tm_handle_t h);
/** The handle that the reference's index has now; TM_NULL if the index is free. */
tm_handle_t tm_from_ref(tm_ref_t r);

/** As tm_ref(tm_alloc(size)): the reference, or 0 with errno ENOMEM. */
tm_ref_t tm_alloc_ref(size_t size) __attribute__((__warn_unused_result__));
/** As tm_free, by reference; 0: nothing happens. @errors no object there: as for a stale handle. See tm_pin_ref and
 *  tm_deref_ref. */
void tm_free_ref(tm_ref_t r);

/** For longjmp: tm_pin_mark returns how many pins this thread holds. tm_pin_reset ends all pins that are newer.
 *  @errors  fewer pins are held than at the mark: reported, then abort. */
unsigned tm_pin_mark(void);
void tm_pin_reset(unsigned mark);

/** The same for scopes, which are counted separately: tm_scope_mark returns how many are open on this thread, and
 *  tm_scope_reset ends all newer ones. Reset both marks where setjmp returns, or where a C++ exception is caught:
 *
 *      unsigned pins = tm_pin_mark(), scopes = tm_scope_mark();   // volatile, if they are changed after setjmp
 *      if (setjmp(env) != 0) {
 *          tm_scope_reset(scopes);     // addresses from tm_deref in the scopes that end are good no more
 *          tm_pin_reset(pins);
 *      }
 *
 *  A mark is valid on its thread while the scopes that it counts are open. A reset to the present number does nothing.
 *  @errors  fewer scopes are open than at the mark: reported, then abort.
 *  @thread  any; signal handlers, too. A handler that leaves by longjmp must end its own scopes. Never waits, never
 *           allocates. */
unsigned tm_scope_mark(void);
void tm_scope_reset(unsigned mark);

/** Compact now, as far as pins allow, and give the memory back. Waits for a move that another thread has under way.
 *  Works in every mode.
 *  @return  bytes by which committed memory fell. Inside a scope of the caller: 0, at once. */
size_t tm_compact(void);

/** One step of compaction, of about `budget_us` microseconds. It does at least one small piece of work.
 *  @return  true if another step could gain something now. Inside a scope of the caller, or while another thread moves
 *           objects: false, at once. */
bool tm_compact_step(unsigned budget_us);

/** Set what the mover does from now on. TM_MOVER_BACKGROUND: a thread named tinymem-mover moves objects when there is
 *  enough to gain. TM_MOVER_MANUAL: only tm_compact and tm_compact_step move objects. TM_MOVER_OFF: nothing moves. The
 *  options compaction, compact_cpu and compact_target give the initial values.
 *  @param mode    one of these modes.
 *  @param share   of one processor that the thread may take, 1 to 100 per cent. It takes more when a heap is mostly
 *                 holes.
 *  @param target  waste that a quiet program is left with, 0 to 1000 per cent of live bytes. TM_MOVER_KEEP for any of
 *                 the three leaves it unchanged.
 *  @return  false with errno EINVAL, and nothing is changed.
 *  @thread  any; not in signal handlers. When it returns, no move is under way that the new mode forbids. It may wait
 *           for a piece of a move. */
enum { TM_MOVER_KEEP = -1, TM_MOVER_BACKGROUND = 0, TM_MOVER_MANUAL = 1, TM_MOVER_OFF = 2 };
bool tm_mover_set(int mode, int share, int target);

/** Nothing moves from the return of tm_mover_pause until the matching tm_mover_resume, in every mode. tm_compact and
 *  tm_compact_step move nothing meanwhile, and tm_lock leaves its object in place. So an address that was looked up
 *  without a pin stays valid. (tm_realloc does move its object.) Pauses nest. One count serves all threads of the
 *  process, so one thread may pause and another resume. A child of fork inherits the count.
 *  @errors  a resume without a pause, or 4,294,967,295 pauses: reported, then abort.
 *  @thread  any; not in signal handlers. A pause may wait for a piece of a move; a resume does not wait. */
void tm_mover_pause(void);
void tm_mover_resume(void);

/** What a function that is called after batches of moves receives: counts and bytes since its last call. */
typedef struct tm_batch {
    size_t struct_size;     /**< bytes that the library has filled; later fields do not exist */
    size_t batches, dropped_batches;
    size_t moved_objects, moved_bytes, aborted_moves;
    uint64_t time_ns;       /**< spent moving */
} tm_batch_t;
typedef void tm_batch_call_t(const tm_batch_t *batch, void *context);

/** From now on `call` is called after each batch of the mover's thread, by that thread, and after each tm_compact and
 *  tm_compact_step that has ended a batch, by its caller. The process has one function of this kind; NULL: none. One
 *  thread at a time calls it, without a lock of the heap. It may call every function; moves that it causes itself are
 *  reported with the next call. It must return soon, since the mover's thread waits for it. That thread has all signals
 *  blocked. Moves for want of memory, or for tm_lock, are reported with the next call, too.
 *  @thread  any; not in signal handlers. When it returns, the function that was set before no longer runs, unless that
 *           function is the caller. A child of fork keeps the function. */
void tm_mover_on_batch(tm_batch_call_t *call, void *context);

/** For a thread that is about to wait, in an event loop for example. Gives some of the empty memory that is not needed
 *  back to the kernel. Takes about 0.1 ms, or a few ns if there is nothing to do. A program with several threads need
 *  not call it, since a helper thread does the same there. Any thread. */
void tm_idle(void);

/** Figures of the movable heap. Set struct_size to sizeof(tm_stats_t) first. Fields beyond that size are left out;
 *  fields that the library does not know are 0. Each figure was true a moment ago. The figures are not a snapshot: an
 *  object that is being moved, or freed ones that the cache of a thread hands back at that moment, may count as live.
 *  Bytes unless said otherwise. */
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
