/* replica_impl.h - what the files of the replica share. */
#ifndef TMI_TOOL_REPLICA_IMPL_H
#define TMI_TOOL_REPLICA_IMPL_H

#include "replica.h"

/* Memory that goes when the next look is taken. */
void *replica_alloc(size_t nbytes);

/* Copy the page map and the segments that it leads to; tmi_pagemap and tmi_windows are ours afterwards. */
void replica_map(const target_t *t);
/* The record of a span once more: false if there is none any more. */
bool replica_span_again(const target_t *t, uintptr_t address);
void replica_forget_owners(void);
/* The same for the entries of a unit. */
void replica_unit_again(const target_t *t, uintptr_t address);

/* List the parts, and copy the records of slabs. */
void replica_parts(replica_t *r, bool all);

#endif
