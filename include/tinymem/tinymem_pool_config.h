/** tinymem_pool_config.h - the pool's compile-time switches, and templates of them for three kinds of machine.
 *
 *  Every file that includes tinymem_pool.h, and the pool itself, must be compiled with the same switches: they fix the
 *  layout of tm_pool_t. Set one with -DTM_POOL_...=VALUE, or edit the template of your machine. The template follows
 *  from the compiler's target unless TM_POOL_TEMPLATE names one. */
#ifndef TINYMEM_POOL_CONFIG_H
#define TINYMEM_POOL_CONFIG_H

#define TM_POOL_LINUX 1    /* and other hosts */
#define TM_POOL_CORTEX_M 2
#define TM_POOL_AVR 3

#ifndef TM_POOL_TEMPLATE
#if defined(__AVR__)
#define TM_POOL_TEMPLATE TM_POOL_AVR
#elif defined(__ARM_ARCH_PROFILE)
#if __ARM_ARCH_PROFILE == 'M'
#define TM_POOL_TEMPLATE TM_POOL_CORTEX_M
#endif
#endif
#endif
#ifndef TM_POOL_TEMPLATE
#define TM_POOL_TEMPLATE TM_POOL_LINUX
#endif

/* ---- templates --------------------------------------------------------------------------------------------------- */

#if TM_POOL_TEMPLATE == TM_POOL_LINUX /* any number of handles and any size: the width is chosen at init */
#ifndef TM_POOL_INDEX_BITS
#define TM_POOL_INDEX_BITS 0
#endif
#endif

#if TM_POOL_TEMPLATE == TM_POOL_CORTEX_M /* tens or hundreds of KiB: 65,535 handles and blocks are plenty */
#ifndef TM_POOL_INDEX_BITS
#define TM_POOL_INDEX_BITS 16
#endif
#ifndef TM_POOL_TRIES
#define TM_POOL_TRIES 0
#endif
#ifndef TM_POOL_JUMP
#define TM_POOL_JUMP 0
#endif
#ifndef TM_POOL_VERIFY
#define TM_POOL_VERIFY 0
#endif
#ifndef TM_POOL_AUDIT
#define TM_POOL_AUDIT 0
#endif
#ifndef TM_POOL_DUMP
#define TM_POOL_DUMP 0
#endif
#endif

#if TM_POOL_TEMPLATE == TM_POOL_AVR /* a few KiB: 255 handles and blocks; size_t has 16 bits */
#ifndef TM_POOL_INDEX_BITS
#define TM_POOL_INDEX_BITS 8
#endif
#ifndef TM_POOL_HANDLE_BITS
#define TM_POOL_HANDLE_BITS 16
#endif
#ifndef TM_POOL_TRIES
#define TM_POOL_TRIES 0
#endif
#ifndef TM_POOL_JUMP
#define TM_POOL_JUMP 0
#endif
#ifndef TM_POOL_VERIFY
#define TM_POOL_VERIFY 0
#endif
#ifndef TM_POOL_AUDIT
#define TM_POOL_AUDIT 0
#endif
#ifndef TM_POOL_DUMP
#define TM_POOL_DUMP 0
#endif
#endif

/* ---- switches ---------------------------------------------------------------------------------------------------- */

/** Width of an index: 8, 16 or 32 alone, for the smallest code, or 0 for all three, chosen by tm_pool_init for each
 *  pool. */
#ifndef TM_POOL_INDEX_BITS
#define TM_POOL_INDEX_BITS 0
#endif

/** Width of tm_pool_handle_t: 16 or 32. */
#ifndef TM_POOL_HANDLE_BITS
#define TM_POOL_HANDLE_BITS 32
#endif

/** 1: the upper 8 bits of a handle are a generation, so that a stale handle is known for the next 255 lives of its
 *  index. A byte a handle, and 2^(TM_POOL_HANDLE_BITS - 8) - 1 handles at most. */
#ifndef TM_POOL_GENERATIONS
#define TM_POOL_GENERATIONS 0
#endif

/** 1: a check build. Each block ends in a guard, verified when the block is freed, resized or checked. */
#ifndef TM_POOL_CHECK
#define TM_POOL_CHECK 0
#endif

/** 1: the metadata in freed memory is verified before it is used, or TM_POOL_CORRUPT is returned. 0: smaller by a
 *  tenth. */
#ifndef TM_POOL_VERIFY
#define TM_POOL_VERIFY 1
#endif

/** How many gaps of a request's own bin are looked at before a larger bin is preferred; 0: all of them. */
#ifndef TM_POOL_TRIES
#define TM_POOL_TRIES 8
#endif

/** 1: who is searched for in the chain of objects is found in about the square root of their number of looks. 0: by a
 *  walk from the first object, which is as good for a few hundred, and less code. */
#ifndef TM_POOL_JUMP
#define TM_POOL_JUMP 1
#endif

/** What one look at a list entry costs a compaction step, in bytes moved: about the time of the one over the time of
 *  the other. */
#ifndef TM_POOL_VISIT_COST
#define TM_POOL_VISIT_COST 8
#endif

/** 0: leave tm_pool_check_all out. */
#ifndef TM_POOL_AUDIT
#define TM_POOL_AUDIT 1
#endif

/** 0: leave tm_pool_dump out. */
#ifndef TM_POOL_DUMP
#define TM_POOL_DUMP 1
#endif

/** Hooks for tests and tracing: a list entry's link is read; compaction moves `bytes` bytes. */
#ifndef TM_POOL_ON_VISIT
#define TM_POOL_ON_VISIT(pool) ((void)0)
#endif
#ifndef TM_POOL_ON_MOVE
#define TM_POOL_ON_MOVE(pool, bytes) ((void)0)
#endif

#endif
