/* pack.h - byte strings one after the other: the contents of small aggregates and of the blocks of large ones.
 *
 * An item is its length (one byte below PACK_WIDE; else PACK_WIDE and four bytes), then its bytes. A pack has no header
 * and no end mark: its owner knows its length. All functions are pure; the pack is well-formed, the caller's duty. */
#ifndef KV_PACK_H
#define KV_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { PACK_WIDE = 255 };

struct item {
    const char *at;
    size_t len;
};

static inline size_t pack_size(size_t len) { return len + (len < PACK_WIDE ? 1 : 5); }

/* The item at p; returns where the next one begins. */
static inline const char *pack_read(const char *p, struct item *item)
{
    unsigned char first = (unsigned char)*p++;
    uint32_t len = first;
    if (first == PACK_WIDE) {
        memcpy(&len, p, sizeof len);
        p += sizeof len;
    }
    *item = (struct item){p, len};
    return p + len;
}

/* The header of an item of this length; returns where its bytes go. */
static inline char *pack_header(char *p, size_t len)
{
    if (len < PACK_WIDE) {
        *p = (char)len;
        return p + 1;
    }
    uint32_t wide = (uint32_t)len;
    *p = (char)PACK_WIDE;
    memcpy(p + 1, &wide, sizeof wide);
    return p + 1 + sizeof wide;
}

static inline char *pack_write(char *p, const char *bytes, size_t len)
{
    p = pack_header(p, len);
    if (len > 0)
        memcpy(p, bytes, len);
    return p + len;
}

static inline const char *pack_skip(const char *p, uint32_t n)
{
    struct item item;
    while (n-- > 0)
        p = pack_read(p, &item);
    return p;
}

static inline uint32_t pack_count(const char *p, const char *end)
{
    struct item item;
    uint32_t n = 0;
    for (; p < end; n++)
        p = pack_read(p, &item);
    return n;
}

#endif
