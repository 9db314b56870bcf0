/* The constant is written in assembler, since C cannot express the distance of two variables. So this file is compiled
 * without link-time optimization, which does not see names in assembler code. */
#include "heap/layout.h"
#include "heap/object.h"
#include "os/counters.h"
#include "os/meta.h"
#include "os/options.h"
#include "os/os.h"
#include "compaction/compact.h"
#include "sampling/samples.h"
#include "slabs/medium.h"
#include "slabs/mixed.h"
#include "slabs/movable.h"
#include "slabs/raw.h"
#include "threads/request.h"
#include "threads/thread.h"

/* Each row of layout.def enters the sum with its position, so that the sum changes if two rows are exchanged. */
enum {
#define TMI_PLACE(use, symbol) ROW_##symbol,
#define TMI_FIELD(type, member) ROW_##type##_##member,
#include "heap/layout.def"
#undef TMI_PLACE
#undef TMI_FIELD
};

#define FOLD(number, row) +(uint64_t)((number) + 1) * (2 * (row) + 1) * UINT64_C(0x9e3779b97f4a7c15)
#define TMI_PLACE(use, symbol) FOLD(sizeof symbol, ROW_##symbol)
#define TMI_FIELD(type, member) FOLD(offsetof(type, member), ROW_##type##_##member)
const tmi_layout_facts_t tmi_layout_facts = {
    .stamp = 0
#include "heap/layout.def"
    ,
    .version = TMI_VERSION,
    .check = TMI_CHECK,
};
#undef TMI_PLACE
#undef TMI_FIELD

#define TEXT_OF(number) #number
#define NUMBER(macro) ".long " TEXT_OF(macro) "\n"
#define DISTANCE(symbol) ".long " #symbol " - tm_layout_\n"
#define TMI_PLACE(use, symbol) DISTANCE(symbol)
#define TMI_FIELD(type, member)
__asm__(".pushsection .rodata.tm_layout_, \"a\"\n"
        ".balign 8\n"
        ".globl tm_layout_\n"
        ".type tm_layout_, %object\n"
        "tm_layout_:\n"
        ".asciz \"" TMI_LAYOUT_MARK "\"\n"
        NUMBER(TMI_LAYOUT)
        ".long (2f - 1f) / 4\n"
        "1:\n"
        DISTANCE(tmi_layout_facts)
#include "heap/layout.def"
        "2:\n"
        ".size tm_layout_, . - tm_layout_\n"
        ".popsection\n");
#undef TMI_PLACE
#undef TMI_FIELD

extern const tmi_layout_head_t tm_layout_ TMI_EXPORT;

void tmi_layout_keep(void) { __asm__ volatile("" : : "r"(&tm_layout_)); }
