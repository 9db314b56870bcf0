#include "sampling/stack.h"
#include "base/atomic.h"
#include "os/options.h"
#include "os/os.h"
#include "os/report.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>

enum { PAGE = 4096, ENOUGH = 3, OWN_FRAMES = 16 };
#define LONGEST_FRAME ((uintptr_t)8 << 20)

/* unw_backtrace, or NULL. Stored with release order once the library is loaded; pairs: tmi_stack_capture. */
static int (*libunwind)(void **out, int most);
static uint32_t wanted; // 1: open libunwind as soon as that is possible

/* _dl_find_object of glibc 2.35 and later, or NULL. Finds the mapped file that contains an address. Takes no lock. */
static int (*find_object)(void *address, void *result);
typedef struct found_object {
    unsigned long long flags;
    void *start, *end;
    struct link_map *map;
    void *more[28]; // room for fields that later versions may add
} found_object_t;

/* Opening a library before libc's constructor has run would run that constructor without the environment. */
static bool libc_is_ready(void) { return program_invocation_short_name[0] != '\0'; }

static TMI_COLD void open_libunwind(void)
{
    if (tmi_exchange_relaxed(&wanted, 0) == 0) // relaxed: one thread is enough
        return;
    void *library = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
    void *found = library != NULL ? dlsym(library, "unw_backtrace") : NULL;
    int (*function)(void **, int);
    memcpy(&function, &found, sizeof found);
    if (function == NULL && tmi_options.unwind == TMI_UNWIND_LIBUNWIND)
        tmi_report("option unwind:libunwind: libunwind.so.8 cannot be opened; frame pointers are used");
    tmi_store_release(&libunwind, function);
}

static TMI_COLD void look_for_objects(void)
{
    int (*function)(void *, void *);
    void *found = libc_is_ready() ? dlsym(RTLD_DEFAULT, "_dl_find_object") : NULL;
    memcpy(&function, &found, sizeof found);
    tmi_store_relaxed(&find_object, function); // relaxed: no data of ours is published with it
}

void tmi_stack_init(void)
{
    look_for_objects();
    if (tmi_options.unwind == TMI_UNWIND_FP || tmi_options.unwind == TMI_UNWIND_NONE || libunwind != NULL)
        return;
    tmi_store_relaxed(&wanted, 1); // relaxed: a thread that misses it captures a shorter stack
    if (libc_is_ready())
        open_libunwind();
}

void tmi_stack_after_fork(void) { tmi_store_relaxed(&wanted, 0); } // relaxed: the child has one thread

static bool in_linker(uintptr_t address)
{
    enum { MOST = 1 << 20 }; // more than the size of the linker's code
    return address - getauxval(AT_BASE) < MOST;
}

#ifdef __GLIBC__
#pragma weak _r_debug // programs without a dynamic linker have none
static bool linker_is_at_rest(void) { return &_r_debug != NULL && _r_debug.r_state == RT_CONSISTENT; }
#else
static bool linker_is_at_rest(void) { return false; } // this linker does not show its state
#endif

/* Open libunwind from within malloc. The dynamic linker may have called malloc, so this needs the linker at rest. */
static void open_late(uintptr_t caller)
{
    bool at_rest = linker_is_at_rest() && !in_linker(caller);
    if (tmi_load_relaxed(&wanted) && libc_is_ready() && at_rest) // relaxed: as above
        open_libunwind();
}

/* Pages found readable during one walk. */
typedef struct pages {
    uintptr_t data, text;
} pages_t;

static bool on_page(uintptr_t *known, uintptr_t p)
{
    if (p >= PAGE && p / PAGE == *known)
        return true;
    if (p < PAGE || !tmi_os_readable((const void *)p))
        return false;
    *known = p / PAGE;
    return true;
}

#if defined(__x86_64__)
/* Length of an indirect call (`call r/m`, opcode ff /2), given its second byte; 0 if it is another instruction. */
__attribute__((no_sanitize_address)) static int indirect_call_bytes(const unsigned char *modrm)
{
    int mod = *modrm >> 6, rm = *modrm & 7;
    if ((*modrm & 0x38) != 0x10)
        return 0;
    int sib = mod != 3 && rm == 4, wide = mod == 0 && (rm == 5 || (sib && (modrm[1] & 7) == 5));
    return 2 + sib + (mod == 1 ? 1 : mod == 2 || wide ? 4 : 0);
}
#endif

/* Whether p follows a call instruction. Not for the address sanitizer: it does not know code, and may have poisoned
 * constants beside it. */
__attribute__((no_sanitize_address)) static bool follows_call(pages_t *pages, uintptr_t p)
{
#if defined(__x86_64__)
    enum { LONGEST = 7 }; // call with a SIB byte and 32 bits of displacement
    if (p < PAGE || !on_page(&pages->text, p - LONGEST) || (p % PAGE < LONGEST && !on_page(&pages->text, p - 1)))
        return false;
    const unsigned char *c = (const unsigned char *)p;
    if (c[-5] == 0xe8)
        return true;
    for (int n = 2; n <= LONGEST; n++)
        if (c[-n] == 0xff && indirect_call_bytes(c - n + 1) == n)
            return true;
    return false;
#else
    if (p % 4 != 0 || p < PAGE || !on_page(&pages->text, p - 4))
        return false;
    uint32_t word = *(const uint32_t *)(p - 4);
    return word >> 26 == 0x25 || (word & 0xfffffc1f) == 0xd63f0000 || (word & 0xfefff800) == 0xd63f0800;
#endif
}

bool tmi_stack_is_return(uintptr_t p)
{
    pages_t pages = {0, 0};
    return follows_call(&pages, p);
}

static bool readable_frame(pages_t *pages, uintptr_t frame)
{
    return frame % sizeof(uintptr_t) == 0 && on_page(&pages->data, frame) &&
           (frame / PAGE == (frame + 8) / PAGE || on_page(&pages->data, frame + 8));
}

/* Append return addresses to the n in `out`, by following frame pointers from `frame`. Returns the new count. */
static size_t follow(uintptr_t frame, uintptr_t *out, size_t n)
{
    pages_t pages = {0, 0};
    while (n < TMI_STACK_MAX && readable_frame(&pages, frame)) {
        const uintptr_t *f = (const uintptr_t *)frame;
        uintptr_t next = tmi_load_relaxed(&f[0]), address = tmi_load_relaxed(&f[1]); // relaxed: may be anything
        if (n > 0 && !follows_call(&pages, address))
            break;
        out[n++] = address;
        if (next <= frame || next - frame > LONGEST_FRAME)
            break;
        frame = next;
    }
    return n;
}

/* Return addresses found by unwind tables, from `first` on: frames inside it are dropped. */
static size_t unwind(int (*backtrace)(void **, int), uintptr_t first, uintptr_t *out)
{
    void *all[TMI_STACK_MAX + OWN_FRAMES];
    int got = backtrace(all, TMI_STACK_MAX + OWN_FRAMES), skip = 0;
    while (skip < got && (uintptr_t)all[skip] != first)
        skip++;
    size_t n = 0;
    for (int i = skip; i < got && n < TMI_STACK_MAX; i++)
        if (all[i] != NULL)
            out[n++] = (uintptr_t)all[i];
    return n;
}

/* Complete the stack that begins with return address `first`: if the n addresses found by frame pointers are too few,
 * try the unwind tables. Returns the count. */
static size_t complete(uintptr_t first, uintptr_t *out, size_t n)
{
    int (*backtrace)(void **, int) = tmi_load_acquire(&libunwind); // pairs: open_libunwind
    if (n < ENOUGH && backtrace == NULL)
        open_late(first);
    if (n < ENOUGH && (backtrace = tmi_load_acquire(&libunwind)) != NULL) { // pairs: open_libunwind
        uintptr_t other[TMI_STACK_MAX];
        size_t m = unwind(backtrace, first, other);
        if (m > n)
            memcpy(out, other, m * sizeof *out);
        n = tmi_max(m, n);
    }
    return tmi_max(n, 1);
}

size_t tmi_stack_capture(void *frame, uintptr_t *out)
{
    uintptr_t first = ((const uintptr_t *)frame)[1];
    out[0] = first;
    if (tmi_options.unwind == TMI_UNWIND_NONE)
        return 1;
    bool tables_first = tmi_options.unwind == TMI_UNWIND_LIBUNWIND && tmi_load_acquire(&libunwind) != NULL;
    return complete(first, out, tables_first ? 0 : follow((uintptr_t)frame, out, 0));
}

/* Bounds of the image that contains this code. In a shared library that is the library's own code only. */
extern const char tmi_image_start[] __asm__("__ehdr_start") __attribute__((visibility("hidden")));
extern const char tmi_image_end[] __asm__("etext") __attribute__((visibility("hidden")));

static bool is_own(uintptr_t address)
{
    return address - (uintptr_t)tmi_image_start < (uintptr_t)tmi_image_end - (uintptr_t)tmi_image_start;
}

/* Whether the address lies in an executable segment of the mapped file, whose ELF header is at its start. */
static bool in_text(const found_object_t *object, uintptr_t address)
{
    const ElfW(Ehdr) *e = object->start;
    if (!tmi_os_readable(e) || memcmp(e->e_ident, ELFMAG, SELFMAG) != 0 || e->e_phoff > PAGE)
        return false;
    const ElfW(Phdr) *p = (const ElfW(Phdr) *)(const void *)((const char *)object->start + e->e_phoff);
    for (unsigned i = 0; i < e->e_phnum && tmi_os_readable(&p[i]); i++)
        if (p[i].p_type == PT_LOAD && (p[i].p_flags & PF_X) != 0 &&
            address - object->map->l_addr - p[i].p_vaddr < p[i].p_memsz)
            return true;
    return false;
}

/* Whether a word from the stack is a return address, not the address of data: data on the stack, in the heap or in
 * static storage may happen to follow bytes that look like a call. */
static bool is_code(pages_t *pages, uintptr_t word, uintptr_t frame)
{
    found_object_t object;
    int (*find)(void *, void *) = tmi_load_relaxed(&find_object); // relaxed: as above
    if (word - frame + LONGEST_FRAME < 2 * LONGEST_FRAME || !follows_call(pages, word))
        return false;
    return find == NULL || (find((void *)word, &object) == 0 && in_text(&object, word));
}

/* Scan the stack upwards from `frame` for the first return address outside the library, or 0. The library's functions
 * in between have no frame pointers; their frames are small, so that a short scan suffices. */
__attribute__((no_sanitize_address)) static uintptr_t first_outside(uintptr_t frame)
{
    enum { WORDS = 512 };
    pages_t pages = {0, 0};
    for (uintptr_t at = frame; at < frame + WORDS * sizeof at && on_page(&pages.data, at); at += sizeof at) {
        uintptr_t word = *(const uintptr_t *)at;
        if (!is_own(word) && is_code(&pages, word, frame))
            return word;
    }
    return 0;
}

size_t tmi_stack_capture_inside(void *frame, uintptr_t *out, bool tables)
{
    uintptr_t first = first_outside((uintptr_t)frame), above = *(const uintptr_t *)frame;
    out[0] = first != 0 ? first : ((const uintptr_t *)frame)[1];
    if (tmi_options.unwind == TMI_UNWIND_NONE)
        return 1;
    size_t n = above > (uintptr_t)frame && above - (uintptr_t)frame < LONGEST_FRAME ? follow(above, out, 1) : 1;
    return tables && tmi_options.unwind != TMI_UNWIND_FP ? complete(out[0], out, n) : n;
}

size_t tmi_stack_interrupted(uintptr_t pc, uintptr_t fp, uintptr_t caller, uintptr_t *out)
{
    pages_t pages = {0, 0};
    size_t n = 0, m = 0;
    out[n++] = pc + 1;
    if (tmi_options.unwind == TMI_UNWIND_NONE)
        return n;
    if (follows_call(&pages, caller) && !(readable_frame(&pages, fp) && ((const uintptr_t *)fp)[1] == caller))
        out[n++] = caller;
    n = follow(fp, out, n);
    int (*backtrace)(void **, int) = tmi_load_acquire(&libunwind); // pairs: open_libunwind
    if (tmi_options.unwind != TMI_UNWIND_FP && backtrace != NULL) {
        uintptr_t other[TMI_STACK_MAX];
        m = unwind(backtrace, pc, other); // unwind tables are more reliable than the guessed caller
        if (m > 1)
            memcpy(out, other, m * sizeof *out);
    }
    if (m > 1)
        out[0] = pc + 1;
    return m > 1 ? m : n;
}
