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

typedef struct range {
    uintptr_t start, nbytes;
} range_t;

/* Without that function: the executable segments that were loaded when look_for_objects ran. */
enum { CODES = 64 };
static range_t codes[CODES];
static uint32_t ncodes, looked;

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

static int note_codes(struct dl_phdr_info *info, size_t size, void *n)
{
    (void)size;
    for (unsigned i = 0; i < info->dlpi_phnum && *(uint32_t *)n < CODES; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_LOAD && (p->p_flags & PF_X) != 0)
            codes[(*(uint32_t *)n)++] = (range_t){info->dlpi_addr + p->p_vaddr, p->p_filesz};
    }
    return 0;
}

static TMI_COLD void look_for_objects(void)
{
    int (*function)(void *, void *);
    uint32_t n = 0;
    if (tmi_exchange_relaxed(&looked, 1) != 0) // relaxed: one thread is enough
        return;
    int before = errno;
    void *found = dlsym(RTLD_DEFAULT, "_dl_find_object");
    memcpy(&function, &found, sizeof found);
    tmi_store_relaxed(&find_object, function); // relaxed: no data of ours is published with it
    if (function == NULL)
        (void)dl_iterate_phdr(note_codes, &n);
    tmi_store_release(&ncodes, n); // pairs: in_file
    errno = before;
}

void tmi_stack_init(void)
{
    int before = errno;
    bool opens = tmi_options.unwind != TMI_UNWIND_FP && tmi_options.unwind != TMI_UNWIND_NONE && libunwind == NULL;
    if (opens)
        tmi_store_relaxed(&wanted, 1); // relaxed: a thread that misses it captures a shorter stack
    if (libc_is_ready()) {
        look_for_objects();
        open_libunwind();
    }
    errno = before;
}

/* Another thread may have held the dynamic linker's lock, which libunwind and dlsym take: nobody releases it here.
 * Relaxed: the child has one thread. */
void tmi_stack_after_fork(void)
{
    tmi_store_relaxed(&wanted, 0);
    tmi_store_relaxed(&looked, 1);
    tmi_store_relaxed(&libunwind, NULL);
}

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

/* In malloc, which the dynamic linker may have called: only while it is at rest. */
static bool may_call_linker(uintptr_t caller)
{
    return libc_is_ready() && linker_is_at_rest() && !in_linker(caller);
}

static void look_late(uintptr_t caller)
{
    if (TMI_UNLIKELY(!tmi_load_relaxed(&looked)) && may_call_linker(caller)) // relaxed: as above
        look_for_objects();
}

static void open_late(uintptr_t caller)
{
    if (tmi_load_relaxed(&wanted) && may_call_linker(caller)) // relaxed: as above
        open_libunwind();
}

/* What is known during one walk: pages that can be read, and a file that is loaded. */
typedef struct known {
    uintptr_t data, text;
    range_t file;
    const struct link_map *map; // of that file
} known_t;

static bool lies_in(range_t range, uintptr_t address) { return address - range.start < range.nbytes; }

static bool on_page(uintptr_t *known, uintptr_t p)
{
    if (p >= PAGE && p / PAGE == *known)
        return true;
    if (p < PAGE || !tmi_os_readable((const void *)p))
        return false;
    *known = p / PAGE;
    return true;
}

/* Whether the address lies in a file that is loaded, on a page that can be read. Nothing else may be read as code: any
 * word may look like an address of it, and what it points to may be unmapped by another thread at any instant, such as
 * that thread's own stack when it ends. */
static bool in_file(known_t *known, uintptr_t address)
{
    found_object_t object;
    int (*find)(void *, void *) = tmi_load_relaxed(&find_object); // relaxed: as above
    bool found = lies_in(known->file, address);
    if (!found && find != NULL) {
        found = find((void *)address, &object) == 0;
        if (found) {
            known->file = (range_t){(uintptr_t)object.start, (uintptr_t)object.end - (uintptr_t)object.start};
            known->map = object.map;
        }
    } else if (!found) {
        for (uint32_t i = 0, n = tmi_load_acquire(&ncodes); i < n && !found; i++) // pairs: look_for_objects
            found = lies_in(codes[i], address);
    }
    return found && on_page(&known->text, address);
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

/* Code is no object that the address sanitizer knows, and constants may lie beside it. */
__attribute__((no_sanitize_address)) static bool follows_call(known_t *known, uintptr_t p)
{
#if defined(__x86_64__)
    enum { LONGEST = 7 }; // call with a SIB byte and 32 bits of displacement
    if (!in_file(known, p - LONGEST) || (p % PAGE < LONGEST && !in_file(known, p - 1)))
        return false;
    const unsigned char *c = (const unsigned char *)p;
    if (c[-5] == 0xe8)
        return true;
    for (int n = 2; n <= LONGEST; n++)
        if (c[-n] == 0xff && indirect_call_bytes(c - n + 1) == n)
            return true;
    return false;
#else
    if (p % 4 != 0 || !in_file(known, p - 4))
        return false;
    uint32_t word = *(const uint32_t *)(p - 4);
    return word >> 26 == 0x25 || (word & 0xfffffc1f) == 0xd63f0000 || (word & 0xfefff800) == 0xd63f0800;
#endif
}

bool tmi_stack_is_return(uintptr_t p)
{
    known_t known = {0};
    return follows_call(&known, p);
}

static bool readable_frame(known_t *known, uintptr_t frame)
{
    return frame % sizeof(uintptr_t) == 0 && on_page(&known->data, frame) &&
           (frame / PAGE == (frame + 8) / PAGE || on_page(&known->data, frame + 8));
}

/* No frame above `frame` lies at or beyond this address. A register that is taken for a frame pointer may point to
 * memory that other threads unmap. The C library's record of a thread lies at the end of the thread's stack, and the
 * kernel's random bytes at the end of the first thread's. Any other stack, such as that of a coroutine, has no known
 * end. */
static uintptr_t end_of_stack(uintptr_t frame)
{
    static uintptr_t random; // relaxed: all store the same
    uintptr_t thread = (uintptr_t)__builtin_thread_pointer(), first = tmi_load_relaxed(&random);
    if (first == 0)
        tmi_store_relaxed(&random, first = getauxval(AT_RANDOM));
    uintptr_t above_thread = thread - frame, above_first = first - frame; // huge if it lies below
    return frame + tmi_min(tmi_min(above_thread, above_first), LONGEST_FRAME);
}

/* Return addresses by frame pointers, from a frame that is one, behind n that are known. */
static size_t follow(known_t *known, uintptr_t frame, uintptr_t *out, size_t n)
{
    uintptr_t end = end_of_stack(frame);
    while (n < TMI_STACK_MAX && readable_frame(known, frame)) {
        const uintptr_t *f = (const uintptr_t *)frame;
        uintptr_t next = tmi_load_relaxed(&f[0]), address = tmi_load_relaxed(&f[1]); // relaxed: may be anything
        if (n > 0 && !follows_call(known, address))
            break;
        out[n++] = address;
        if (next <= frame || next >= end - sizeof address)
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

/* The stack from return address `first` on, of which n addresses have been found by frame pointers. The dynamic linker
 * and libunwind may change errno, which an allocation that succeeds leaves alone. */
static size_t complete(uintptr_t first, uintptr_t *out, size_t n)
{
    int before = errno;
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
    errno = before;
    return tmi_max(n, 1);
}

size_t tmi_stack_capture(void *frame, uintptr_t *out)
{
    uintptr_t first = ((const uintptr_t *)frame)[1];
    out[0] = first;
    if (tmi_options.unwind == TMI_UNWIND_NONE)
        return 1;
    look_late(first);
    known_t known = {0};
    bool tables_first = tmi_options.unwind == TMI_UNWIND_LIBUNWIND && tmi_load_acquire(&libunwind) != NULL;
    return complete(first, out, tables_first ? 0 : follow(&known, (uintptr_t)frame, out, 0));
}

/* Bounds of the image that contains this code. In a shared library that is the library's own code only. */
extern const char tmi_image_start[] __asm__("__ehdr_start") __attribute__((visibility("hidden")));
extern const char tmi_image_end[] __asm__("etext") __attribute__((visibility("hidden")));

static bool is_own(uintptr_t address)
{
    return address - (uintptr_t)tmi_image_start < (uintptr_t)tmi_image_end - (uintptr_t)tmi_image_start;
}

/* Whether a word, an address in the file that is known, lies in an executable segment: static data may look like code,
 * too. The file's header is where the file begins. */
static bool is_code(const known_t *known, uintptr_t word)
{
    if (known->map == NULL)
        return true; // in_file has looked at segments
    const ElfW(Ehdr) *e = (const ElfW(Ehdr) *)known->file.start;
    if (!tmi_os_readable(e) || memcmp(e->e_ident, ELFMAG, SELFMAG) != 0 || e->e_phoff > PAGE)
        return false;
    const ElfW(Phdr) *p = (const ElfW(Phdr) *)(const void *)((const char *)e + e->e_phoff);
    for (unsigned i = 0; i < e->e_phnum && tmi_os_readable(&p[i]); i++)
        if (p[i].p_type == PT_LOAD && (p[i].p_flags & PF_X) != 0 &&
            word - known->map->l_addr - p[i].p_vaddr < p[i].p_memsz)
            return true;
    return false;
}

/* The first return address on the stack, from `frame` on, that is not the library's, or 0: our functions between have
 * no frame pointers, and keep few words. */
__attribute__((no_sanitize_address)) static uintptr_t first_outside(known_t *known, uintptr_t frame)
{
    enum { WORDS = 512, LOWEST = 1 << 16, ADDRESS_BITS = 48 };
    uintptr_t end = tmi_min(frame + WORDS * sizeof frame, end_of_stack(frame));
    for (uintptr_t at = frame; at < end && on_page(&known->data, at); at += sizeof at) {
        uintptr_t word = *(const uintptr_t *)at;
        bool unlikely = word - frame + LONGEST_FRAME < 2 * LONGEST_FRAME || word < LOWEST || word >> ADDRESS_BITS != 0;
        if (!unlikely && !is_own(word) && follows_call(known, word) && is_code(known, word))
            return word;
    }
    return 0;
}

size_t tmi_stack_capture_inside(void *frame, uintptr_t *out, bool tables)
{
    known_t known = {0};
    uintptr_t first = first_outside(&known, (uintptr_t)frame), above = *(const uintptr_t *)frame;
    out[0] = first != 0 ? first : ((const uintptr_t *)frame)[1];
    if (tmi_options.unwind == TMI_UNWIND_NONE)
        return 1;
    bool framed = above > (uintptr_t)frame && above < end_of_stack((uintptr_t)frame) - sizeof above;
    size_t n = framed ? follow(&known, above, out, 1) : 1;
    return tables && tmi_options.unwind != TMI_UNWIND_FP ? complete(out[0], out, n) : n;
}

size_t tmi_stack_interrupted(uintptr_t pc, uintptr_t fp, uintptr_t caller, uintptr_t *out)
{
    known_t known = {0};
    size_t n = 0, m = 0;
    out[n++] = pc + 1;
    if (tmi_options.unwind == TMI_UNWIND_NONE)
        return n;
    if (follows_call(&known, caller) && !(readable_frame(&known, fp) && ((const uintptr_t *)fp)[1] == caller))
        out[n++] = caller;
    n = follow(&known, fp, out, n);
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
