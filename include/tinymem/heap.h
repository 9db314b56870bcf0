/** heap.h - where the memory is: figures of both heaps, as a structure, as JSON, and in Prometheus' format.
 *
 *  Every byte that may be resident is in exactly one figure:
 *
 *      resident  =  raw.resident + movable.resident + spans.resident + metadata + table
 *      PART.resident  =  live + cached + stranded + slack + books + empty          and the same for each size class
 *
 *  raw is malloc's heap, movable that of <tinymem/tinymem.h>, spans is free address space for both. Not counted are the
 *  library's file and the pages of its lookup tables (a few MiB in a heap of a hundred GiB).
 *
 *  A page "may be resident" if it has been handed out since the kernel gave it. A page that the program has not written
 *  to since then is in the figures but not in its resident set. That concerns large blocks, medium ones (32 to 256 KiB)
 *  that do not fill their slots, and cached blocks. The reverse happens where the kernel makes huge pages: all of a
 *  huge page is resident, even if only a part of it has been handed out.
 *
 *  Each figure was true a moment ago. While other threads allocate, the figures are not a snapshot. None of these
 *  functions waits for a lock or allocates, so any thread and any signal handler may call them. tm_stats_json and
 *  tm_stats_prometheus map some pages while they run. tm_heap_stats(3) explains the names. */
#ifndef TINYMEM_HEAP_H
#define TINYMEM_HEAP_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A figure that the library does not have. */
#ifdef __cplusplus
#define TM_UNKNOWN (size_t(-1))
#else
#define TM_UNKNOWN ((size_t)-1)
#endif

/** Bytes unless said otherwise. */
typedef struct tm_heap_part {
    size_t requested;     /**< what the program asked for of `live`: estimated (movable), or TM_UNKNOWN (raw) */
    size_t live;          /**< usable bytes of blocks in the program's hands */
    size_t cached;        /**< of free blocks that threads keep for the next allocation, or that lie between threads */
    size_t stranded;      /**< free, in pages that cannot go since a live or cached block shares them */
    size_t slack;         /**< behind the last slot of a slab, and around large blocks: nobody's */
    size_t books;         /**< metadata in the pages of slabs (movable) */
    size_t empty;         /**< pages that hold nothing: kept for reuse, or about to be given back */
    size_t resident;      /**< the sum from `live` to `empty` */
    size_t live_blocks;   /**< count */
    size_t cached_blocks; /**< count */
    size_t purged;        /**< given back to the kernel, so far */
    size_t regretted;     /**< of these, wanted again within seconds, so far (not known of movable: 0) */
    size_t reserved_[8];  /**< 0 */
} tm_heap_part_t;

/** What a class holds. */
enum {
    TM_CLASS_SMALL = 0,  /**< slots of slabs, several to a page or a few pages each */
    TM_CLASS_MEDIUM = 1, /**< raw heap: slots of whole pages, 32 to 256 KiB */
    TM_CLASS_LARGE = 2,  /**< all blocks that have address space of their own, of any size */
    TM_CLASS_MIXED = 3   /**< raw heap: what is left of slabs that blocks of several classes share */
};
enum { TM_HEAP_RAW = 0, TM_HEAP_MOVABLE = 1 };

/** One size class that has slabs, or the large blocks of a heap. */
typedef struct tm_heap_class {
    size_t heap;          /**< TM_HEAP_RAW or TM_HEAP_MOVABLE */
    size_t kind;          /**< TM_CLASS_... */
    size_t size;          /**< bytes of a slot; 0 for large and mixed */
    size_t slabs;         /**< count; 0 for large */
    size_t live_blocks;   /**< count */
    size_t cached_blocks; /**< count */
    size_t free_blocks;   /**< count: free slots of slabs */
    size_t live, cached, stranded, slack, books, empty, resident; /**< bytes, as in tm_heap_part_t */
} tm_heap_class_t;

/** There are never more classes than that. */
#define TM_HEAP_CLASSES_MAX 320

/** Set struct_size to sizeof(tm_heap_stats_t) first. For classes, set class_size to sizeof(tm_heap_class_t), and
 *  classes and max_classes to an array; else set classes to NULL. What the library knows beyond these sizes is left
 *  out, what it does not know is 0. */
typedef struct tm_heap_figures {
    size_t struct_size;
    tm_heap_class_t *classes; /**< written to, as many as fit */
    size_t class_size;
    size_t max_classes;
    size_t nclasses;          /**< count: all that there are, whatever fits */
    tm_heap_part_t raw, movable, spans;
    size_t resident;          /**< see above */
    size_t metadata;          /**< records of the library, both heaps */
    size_t table;             /**< pages of the handle table in use */
    size_t mapped;            /**< address space of both heaps */
    size_t purged;            /**< given back to the kernel, so far: of raw, movable and spans */
    size_t regretted;         /**< of these, wanted again within seconds, so far */
    size_t growth_paid;       /**< of `purged`: given back because the heap was about to grow, so far */
    size_t failures;          /**< count, so far: requests that ended in ENOMEM */
    size_t moved;             /**< bytes of movable objects that were moved, so far */
    size_t batches;           /**< count, so far: in which they were */
    size_t mover_mode;        /**< TM_MOVER_... of <tinymem/tinymem.h> */
    size_t mover_paused;      /**< count, now */
} tm_heap_stats_t;

/** Read the figures.
 *  @thread  any; signal handlers too. */
void tm_heap_stats(tm_heap_stats_t *out);

/** All figures as one line of JSON, or in Prometheus' text exposition format, terminated by '\0' if size > 0.
 *  @return  the length without the '\0', as snprintf: when it is not below `size` the text was cut. Give more room
 *           than that the next time, since the heap may have changed. 0: no memory for the work.
 *  @thread  any; signal handlers too. */
size_t tm_stats_json(char *buf, size_t size);
size_t tm_stats_prometheus(char *buf, size_t size);

#ifdef __cplusplus
}
#endif

#endif
