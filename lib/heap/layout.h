/* layout.h - where a tool outside the process finds the library's records.
 *
 * Idea: the exported constant tm_layout_ has a mark, a version, and for each variable of layout.def its distance from
 * the constant itself. So it needs no relocation, and costs a process nothing. A tool finds the symbol in the ELF
 * file, reads the constant from the process's memory, and knows where everything is. The tool is compiled with the
 * same headers; `stamp` folds the sizes and offsets it relies on into one number, so that a changed record is noticed
 * even if TMI_LAYOUT was not raised.
 *
 *   tm_layout_   | "tinymem" 0 | TMI_LAYOUT | number of distances | distance | distance | ...
 *                  8 bytes       4            4                     4 each, signed: variable - tm_layout_
 *
 * The first distance is that of tmi_layout_facts; the others are in the order of layout.def.
 * TMI_LAYOUT is incremented when the meaning of a record changes although its fields do not. */
#ifndef TMI_HEAP_LAYOUT_H
#define TMI_HEAP_LAYOUT_H

#include "base/base.h"

#define TMI_LAYOUT 1
#define TMI_LAYOUT_MARK "tinymem"

typedef struct tmi_layout_head {
    char mark[8];
    uint32_t version, count;
} tmi_layout_head_t;

typedef struct tmi_layout_facts {
    uint64_t stamp;
    char version[16];  // the library's version
    uint32_t check;   // 1: built with TMI_CHECK
} tmi_layout_facts_t;

enum {
    TMI_PLACE_facts,
#define TMI_PLACE(use, symbol) TMI_PLACE_##symbol,
#define TMI_FIELD(type, member)
#include "heap/layout.def"
#undef TMI_PLACE
#undef TMI_FIELD
    TMI_PLACES,
};

extern const tmi_layout_facts_t tmi_layout_facts;

/* Refers to tm_layout_, so that a program linked with the archive contains it. */
void tmi_layout_keep(void);

#endif
