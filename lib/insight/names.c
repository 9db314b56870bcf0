#include "insight/names.h"
#include "base/atomic.h"
#include "os/report.h"
#include "sampling/trace.h"

#include <string.h>

static tmi_maps_t maps;

/* "function (file+0x123)", or only "file+0x123". addr2line accepts the number for that file. */
static bool describe(uintptr_t address, char *out, size_t size)
{
    char function[160];
    tmi_map_t *m = tmi_maps_find(&maps, address - 1); // inside the call instruction; the address is the one after it
    const char *slash = m != NULL ? strrchr(m->path, '/') : NULL;
    if (slash == NULL)
        return false;
    bool known = tmi_maps_name(m, address - 1, function, sizeof function);
    (void)tmi_format(out, size, "%s%s(%s+%p)", known ? function : "", known ? " " : "", slash + 1,
                     (void *)(address - 1 - m->start + m->offset));
    return true;
}

/* Only one thread at a time can look up a name; a second one gets none. */
static bool name(uintptr_t address, char *out, size_t size)
{
    static uint32_t busy;
    if (tmi_exchange_acquire(&busy, 1) != 0) // pairs: the release below
        return false;
    bool known = (maps.rows != NULL || tmi_maps_read(&maps)) && describe(address, out, size);
    tmi_store_release(&busy, 0);
    return known;
}

void tmi_names_start(void) { tmi_trace_namer = name; }
