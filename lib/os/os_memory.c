/* Reading the process's own memory through the kernel, so that nothing faults if another thread unmaps a page
 * meanwhile. And which mappings hold the library's own records. */
#include "base/atomic.h"
#include "os/os.h"
#include "os/os_call.h"

#include <sys/syscall.h>
#include <sys/uio.h>

size_t tmi_os_copy_memory(void *to, const void *from, size_t nbytes)
{
    struct iovec local = {to, nbytes}, remote = {(void *)(uintptr_t)from, nbytes};
    long got = tmi_call(SYS_process_vm_readv, tmi_os_getpid(), tmi_arg(&local), 1, tmi_arg(&remote), 1, 0);
    return got > 0 ? (size_t)got : 0;
}

bool tmi_os_page_in_use(int pagemap, const void *p)
{
    uint64_t entry = 0;
    uint64_t offset = ((uintptr_t)p >> tmi_os_page_shift) * sizeof entry;
    long got = tmi_call(SYS_pread64, pagemap, tmi_arg(&entry), sizeof entry, (long)offset);
    return got != sizeof entry || entry >> 62 != 0; // present, or in swap
}

/* Written when records are mapped, read by reports. An entry is free while `nbytes` is 0. Relaxed: a reader has already
 * seen the range's mapping in the process's map. */
enum { RANGES = 1024 };
static struct {
    uintptr_t start;
    size_t nbytes;
} ranges[RANGES];
static uint32_t nranges, missed; // entries used so far; 1 if a range found no free entry

void tmi_os_note_records(const void *addr, size_t nbytes)
{
    uint32_t n = tmi_load_relaxed(&nranges);
    for (uint32_t i = 0; i < RANGES; i++) {
        uintptr_t none = 0;
        if (tmi_load_relaxed(&ranges[i].start) != 0 || !tmi_cas_relaxed(&ranges[i].start, &none, (uintptr_t)addr))
            continue;
        tmi_store_relaxed(&ranges[i].nbytes, nbytes);
        while (n < i + 1 && !tmi_cas_relaxed(&nranges, &n, i + 1)) {
        }
        return;
    }
    tmi_store_relaxed(&missed, 1);
}

void tmi_os_forget_records(const void *addr)
{
    uint32_t n = tmi_load_relaxed(&nranges);
    for (uint32_t i = 0; i < n; i++)
        if (tmi_load_relaxed(&ranges[i].start) == (uintptr_t)addr) {
            tmi_store_relaxed(&ranges[i].nbytes, 0);
            tmi_store_relaxed(&ranges[i].start, 0);
            return;
        }
}

bool tmi_os_records_known(void) { return tmi_load_relaxed(&missed) == 0; }

bool tmi_os_holds_records(const void *p)
{
    uint32_t n = tmi_load_relaxed(&nranges);
    for (uint32_t i = 0; i < n; i++)
        if ((uintptr_t)p - tmi_load_relaxed(&ranges[i].start) < tmi_load_relaxed(&ranges[i].nbytes))
            return true;
    return false;
}
