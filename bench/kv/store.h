/* store.h - where the server's data lives: one interface, two implementations chosen when the program is built.
 *
 * Idea: data names data by a *reference* and never by an address. With KV_HANDLES a reference is the 4-byte index of a
 * handle, and the library may move what it names; otherwise it is a pointer from malloc. The server's code is the
 * same.
 *
 * 1. An address from store_at holds until store_end, or until that very object is resized or freed.
 * 2. References are dereferenced between store_begin and store_end only. The server opens one batch for all the
 *    commands that a client has sent, and never waits for the kernel in one.
 *
 * Failure: STORE_NONE. A failed store_resize leaves the object as it was. One thread. */
#ifndef KV_STORE_H
#define KV_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef KV_HANDLES
#include "store_handles.h"
#else
#include "store_malloc.h"
#endif

#endif
