/* The text that google-pprof, jeprof and Go's pprof read. It has the sampled counts, which these tools scale up by the
 * interval in the first line, and the process's map, in which they find names. */
#include "os/os.h"
#include "insight/profile.h"

#include <fcntl.h>

static void amounts(tmi_writer_t *out, const tmi_amount_t *live, const tmi_amount_t *total)
{
    tmi_writer_text(out, "%zu: %zu [%zu: %zu] @", (size_t)live->samples, (size_t)live->sampled, (size_t)total->samples,
                    (size_t)total->sampled);
}

static void add(tmi_amount_t *to, const tmi_amount_t *a)
{
    to->samples += a->samples;
    to->sampled += a->sampled;
}

static void copy_maps(tmi_writer_t *out)
{
    char piece[1024];
    long got;
    int fd = tmi_os_open("/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
    while (fd >= 0 && (got = tmi_os_read(fd, piece, sizeof piece)) > 0)
        tmi_writer_bytes(out, piece, (size_t)got);
    if (fd >= 0)
        tmi_os_close(fd);
}

void tmi_profile_heap(tmi_profile_t *p)
{
    tmi_amount_t live = {0}, total = {0};
    for (size_t i = 0; i < p->samples.nsites; i++) {
        add(&live, &p->samples.sites[i].live);
        add(&total, &p->samples.sites[i].total);
    }
    tmi_writer_text(p->out, "heap profile: ");
    amounts(p->out, &live, &total);
    tmi_writer_text(p->out, " heap_v2/%zu\n", (size_t)p->samples.interval);
    for (size_t i = 0; i < p->samples.nsites; i++) {
        const tmi_site_t *s = &p->samples.sites[i];
        if (s->total.samples == 0)
            continue;
        amounts(p->out, &s->live, &s->total);
        for (uint32_t k = 0; k < s->depth; k++)
            tmi_writer_text(p->out, " %p", (void *)tmi_profile_frames(p, s)[k]);
        tmi_writer_text(p->out, "\n");
    }
    tmi_writer_text(p->out, "\nMAPPED_LIBRARIES:\n");
    copy_maps(p->out);
}
