/* replica_impl.h - declarations that the files of the replica share. */
#ifndef TMI_TOOL_REPLICA_IMPL_H
#define TMI_TOOL_REPLICA_IMPL_H

#include "replica.h"

/* Allocate memory that the next look frees. */
void *replica_alloc(size_t nbytes);

/* Copy the page map and the segments that it points to. Afterwards tmi_pagemap and tmi_windows point to the copies. */
void replica_map(const target_t *t);
/* Read the record of a span again. False: it no longer exists. */
bool replica_span_again(const target_t *t, uintptr_t address);
void replica_forget_owners(void);
/* Read the page map's entries of a unit again. */
void replica_unit_again(const target_t *t, uintptr_t address);

/* List the parts, and copy the records of slabs. */
void replica_parts(replica_t *r, bool all);

#endif
