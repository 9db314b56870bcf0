/* The time, without libc: from the vDSO, which the kernel maps into each process, or else by a system call. */
#include "base/atomic.h"
#include "os/os.h"
#include "os/os_call.h"

#include <elf.h>
#include <link.h>
#include <sys/auxv.h>
#include <time.h>

typedef int (*gettime_t)(clockid_t, struct timespec *);

#if defined(__x86_64__)
#define VDSO_NAME "__vdso_clock_gettime"
#else
#define VDSO_NAME "__kernel_clock_gettime"
#endif

static int by_system_call(clockid_t clock, struct timespec *ts)
{
    return (int)tmi_call(SYS_clock_gettime, clock, tmi_arg(ts));
}

static bool same(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b)
        a++, b++;
    return *a == *b;
}

/* The number of symbols. Older vDSOs have a hash table whose number of chains it is; newer ones have only the GNU hash
 * table. */
static size_t count_symbols(const uint32_t *hash, const uint32_t *gnu_hash)
{
    if (hash != NULL)
        return hash[1];
    if (gnu_hash == NULL)
        return 0;
    const uint32_t *buckets = gnu_hash + 4 + gnu_hash[2] * (sizeof(ElfW(Addr)) / sizeof(uint32_t)),
                   *chains = buckets + gnu_hash[0];
    uint32_t last = 0;
    for (uint32_t b = 0; b < gnu_hash[0]; b++)
        last = buckets[b] > last ? buckets[b] : last;
    if (last < gnu_hash[1])
        return gnu_hash[1];
    while (!(chains[last - gnu_hash[1]] & 1))
        last++;
    return last + 1;
}

static gettime_t symbol_in(uintptr_t bias, const ElfW(Dyn) *dynamic)
{
    const ElfW(Sym) *symbols = NULL;
    const char *names = NULL;
    const uint32_t *hash = NULL, *gnu_hash = NULL;
    for (; dynamic->d_tag != DT_NULL; dynamic++) {
        const void *p = (const void *)(bias + dynamic->d_un.d_ptr);
        switch (dynamic->d_tag) {
        case DT_SYMTAB: symbols = p; break;
        case DT_STRTAB: names = p; break;
        case DT_HASH: hash = p; break;
        case DT_GNU_HASH: gnu_hash = p; break;
        default: break;
        }
    }
    for (size_t i = 0, n = symbols != NULL && names != NULL ? count_symbols(hash, gnu_hash) : 0; i < n; i++)
        if (symbols[i].st_shndx != SHN_UNDEF && same(names + symbols[i].st_name, VDSO_NAME))
            return (gettime_t)(bias + symbols[i].st_value);
    return NULL;
}

static gettime_t in_vdso(void)
{
    uintptr_t base = getauxval(AT_SYSINFO_EHDR), bias = 0;
    const ElfW(Ehdr) *header = (const ElfW(Ehdr) *)base;
    const ElfW(Dyn) *dynamic = NULL;
    if (base == 0)
        return NULL;
    const ElfW(Phdr) *part = (const ElfW(Phdr) *)(base + header->e_phoff);
    for (unsigned i = 0; i < header->e_phnum; i++) {
        if (part[i].p_type == PT_LOAD && bias == 0)
            bias = base + part[i].p_offset - part[i].p_vaddr;
        else if (part[i].p_type == PT_DYNAMIC)
            dynamic = (const ElfW(Dyn) *)(base + part[i].p_offset);
    }
    return bias != 0 && dynamic != NULL ? symbol_in(bias, dynamic) : NULL;
}

static struct timespec now(clockid_t clock)
{
    static gettime_t found; // relaxed: all threads find the same function
    struct timespec ts = {0, 0};
    gettime_t f = tmi_load_relaxed(&found);
    if (TMI_UNLIKELY(f == NULL)) {
        f = in_vdso();
        if (f == NULL)
            f = by_system_call;
        tmi_store_relaxed(&found, f);
    }
    (void)f(clock, &ts); // cannot fail for these clocks
    return ts;
}

uint32_t tmi_os_now_ms(void)
{
    struct timespec ts = now(CLOCK_MONOTONIC_COARSE);
    return (uint32_t)((uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000);
}

uint64_t tmi_os_now_ns(void)
{
    struct timespec ts = now(CLOCK_MONOTONIC);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}
