/* hash.h - SipHash-1-3 (Aumasson and Bernstein, 2012) of keys, keyed at random when the server starts, so that a
 * client cannot choose keys that collide. hash_seed is called once, before the first hash_bytes. */
#ifndef KV_HASH_H
#define KV_HASH_H

#include <stddef.h>
#include <stdint.h>

void hash_seed(void);
uint64_t hash_bytes(const void *bytes, size_t len);

/* A pseudo-random number, for sampling. */
uint64_t hash_random(void);

#endif
