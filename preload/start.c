/* start.c - what happens at the start and the end of a process: options are read, one line with `verbose`, one with `stats`. */
#include "front/guard.h"
#include "front/introspect.h"
#include "front/tally.h"
#include "host/options.h"
#include "host/os.h"
#include "host/report.h"
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

void tmi_start_anchor(void) {}

/* Where the summary goes: stderr as it was at the start (many programs close it before they end), or a file. */
static int summary_fd = 2;

static void keep_stderr(void)
{
    enum { OUT_OF_THE_WAY = 200 };
    int fd = tmi_os_duplicate(2, OUT_OF_THE_WAY);
    if (fd >= 0)
        summary_fd = fd;
}

/* Without options everything waits for the first request: a process that makes none pays nothing. With some it is now that they are read, before the
 * program changes its environment. */
__attribute__((constructor)) static void start(void)
{
    if (!tmi_options_given())
        return;
    tmi_heap_init();
    (void)tmi_thread_or_null();
    if (tmi_options.stats && tmi_options.stats_file[0] == '\0')
        keep_stderr();
    if (!tmi_options.verbose)
        return;
    char text[320];
    (void)tmi_options_describe(text, sizeof text);
    void *probe = malloc(1);
    tmi_report("version %s, options %s, %s", TMI_VERSION, text,
               tmi_heap_owns(probe) ? "active" : "not active: another malloc is in front");
    free(probe);
}

static void put_summary(const char *line, size_t n)
{
    int fd = summary_fd;
    if (tmi_options.stats_file[0] != '\0')
        fd = tmi_os_open(tmi_options.stats_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        tmi_report("cannot open %s for the summary", tmi_options.stats_file);
        return;
    }
    tmi_os_write(fd, line, n);
    if (fd != summary_fd)
        tmi_os_close(fd);
}

__attribute__((destructor)) static void finish(void)
{
    if (tmi_options.check == TMI_CHECK_FULL)
        tmi_guard_look("exit");
    if (!tmi_options.stats)
        return;
    tmi_tally_t t;
    tmi_figures_t f;
    char line[480];
    tmi_tally_read(&t);
    tmi_figures_read(&f);
    size_t n = tmi_format(line, sizeof line,
                          "tinymem: pid=%d cmd=%s allocs=%zu frees=%zu live_bytes=%zu peak_bytes=%zu mapped_bytes=%zu "
                          "committed_bytes=%zu metadata_bytes=%zu purged_bytes=%zu\n",
                          (int)tmi_os_getpid(), program_invocation_short_name, t.allocs, t.frees, t.live_bytes, t.peak_bytes,
                          f.mapped, f.committed, f.metadata, f.purged);
    put_summary(line, n);
}
