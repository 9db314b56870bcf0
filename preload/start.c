/* start.c - the start and the end of a process: reads options, prints one line with `verbose` and one with `stats`. */
#include "heap/dump.h"
#include "heap/guard.h"
#include "heap/introspect.h"
#include "heap/tally.h"
#include "os/options.h"
#include "os/os.h"
#include "os/report.h"
#include "insight/names.h"
#include "insight/profile.h"
#include "preload.h"

#include <errno.h>
#include <stdlib.h>

void tmi_start_anchor(void) {}

static void begin_guard(void)
{
    if (tmi_options.guard == 0)
        return;
    tmi_names_start();
    if (tmi_heap_guard(tmi_options.guard) != 0)
        tmi_report("option guard:%u is not used: no address space for it", tmi_options.guard);
}

/* Without options all work waits for the first request, so that a process without requests pays nothing. Options are
 * read now, before the program changes its environment. */
__attribute__((constructor)) static void start(void)
{
    if (!tmi_options_given())
        return;
    tmi_heap_init();
    (void)tmi_thread_or_null();
    tmi_dump_at_start();
    tmi_profile_at_start();
    begin_guard();
    if (!tmi_options.verbose)
        return;
    char text[400];
    (void)tmi_options_describe(text, sizeof text);
    void *probe = malloc(1);
    tmi_report("version %s, options %s, %s", TMI_VERSION, text,
               tmi_heap_owns(probe) ? "active" : "not active: another malloc is in front");
    free(probe);
}

__attribute__((destructor)) static void finish(void)
{
    if (tmi_options.check == TMI_CHECK_FULL)
        tmi_guard_check("exit");
    tmi_profile_at_exit();
    if (tmi_options.stats > TMI_STATS_ON)
        tmi_dump_now();
    if (tmi_options.stats != TMI_STATS_ON)
        return;
    tmi_tally_t t;
    tmi_figures_t f;
    char line[480];
    tmi_tally_read(&t);
    tmi_figures_read(&f);
    size_t n = tmi_format(line, sizeof line,
                          "tinymem: pid=%d cmd=%s allocs=%zu frees=%zu live_bytes=%zu peak_bytes=%zu mapped_bytes=%zu "
                          "committed_bytes=%zu metadata_bytes=%zu purged_bytes=%zu\n",
                          (int)tmi_os_getpid(), program_invocation_short_name, t.allocs, t.frees, t.live_bytes,
                          t.peak_bytes, f.mapped, f.committed, f.metadata, f.purged);
    tmi_dump_line(line, n);
}
