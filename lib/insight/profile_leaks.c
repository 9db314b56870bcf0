/* The report of leaks: live blocks by call site. Lost blocks, to which nothing points any more, come first. */
#include "insight/profile.h"
#include "insight/reach.h"
#include "os/os.h"

enum { FRAMES = 8, ROWS = 100 };

/* Sums of a site's blocks, in 1/65536 of a block: [0] lost ones, [1] reachable ones. */
typedef struct sums {
    uint64_t blocks[2], bytes[2];
} sums_t;

static void add_up(const tmi_profile_t *p, const uint8_t *reached, sums_t *sums)
{
    for (size_t i = 0; i < p->samples.nentries; i++) {
        const tmi_sample_t *e = &p->samples.entries[i];
        uint64_t blocks, bytes;
        unsigned kind = reached == NULL || reached[i];
        tmi_samples_weigh(e->size, p->samples.interval, &blocks, &bytes);
        sums[e->site].blocks[kind] += blocks;
        sums[e->site].bytes[kind] += bytes;
    }
}

static void put_amount(const tmi_profile_t *p, uint64_t bytes, uint64_t blocks)
{
    size_t n = (size_t)((blocks + TMI_SAMPLES_BLOCK / 2) / TMI_SAMPLES_BLOCK);
    tmi_writer_text(p->out, "%s%zu byte%s in %zu block%s", p->samples.interval > 1 ? "about " : "", (size_t)bytes,
                    bytes == 1 ? "" : "s", n, n == 1 ? "" : "s");
}

static void put_stack(tmi_profile_t *p, size_t site)
{
    char name[200];
    const tmi_site_t *s = &p->samples.sites[site];
    for (uint32_t k = 0; k < s->depth && k < FRAMES; k++) {
        tmi_profile_frame_name(p, tmi_profile_frames(p, s)[k], name, sizeof name);
        tmi_writer_text(p->out, "%s%s", k > 0 ? " < " : "", name);
    }
    tmi_writer_text(p->out, "%s\n", s->depth == 0 ? "(other)" : s->depth > FRAMES ? " < ..." : "");
}

/* Remove the sums of the site with the most bytes, and return that site. SIZE_MAX: there is none. */
static size_t largest(const sums_t *sums, size_t n, unsigned kind)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < n; i++)
        if (sums[i].blocks[kind] > 0 && (best == SIZE_MAX || sums[i].bytes[kind] > sums[best].bytes[kind]))
            best = i;
    return best;
}

static void put_kind(tmi_profile_t *p, sums_t *sums, unsigned kind, const char *title)
{
    uint64_t blocks = 0, bytes = 0;
    size_t n = p->samples.nsites, site;
    for (size_t i = 0; i < n; i++) {
        blocks += sums[i].blocks[kind];
        bytes += sums[i].bytes[kind];
    }
    tmi_writer_text(p->out, "%s: ", title);
    put_amount(p, bytes, blocks);
    tmi_writer_text(p->out, "\n");
    for (unsigned row = 0; row < ROWS && (site = largest(sums, n, kind)) != SIZE_MAX; row++) {
        tmi_writer_text(p->out, "  ");
        put_amount(p, sums[site].bytes[kind], sums[site].blocks[kind]);
        tmi_writer_text(p->out, ": ");
        put_stack(p, site);
        sums[site].blocks[kind] = 0;
    }
    if (largest(sums, n, kind) != SIZE_MAX)
        tmi_writer_text(p->out, "  and other call sites\n");
}

void tmi_profile_leaks(tmi_profile_t *p, void *frame)
{
    void *memory;
    size_t nsums = p->samples.nsites * sizeof(sums_t);
    size_t nbytes = tmi_round_up(nsums + p->samples.nentries + 1, TMI_UNIT_SIZE);
    if (tmi_os_map_records(nbytes, &memory) != 0) {
        tmi_writer_text(p->out, "no memory for the report of leaks\n");
        return;
    }
    sums_t *sums = memory;
    uint8_t *reached = (uint8_t *)memory + nsums;
    bool known = tmi_reach(&p->samples, &p->maps, reached, frame);
    add_up(p, known ? reached : NULL, sums);
    if (known)
        put_kind(p, sums, 0, "lost, nothing points to them");
    put_kind(p, sums, 1, known ? "live, and pointed to" : "live (what is lost cannot be told here)");
    if (p->samples.dropped > 0)
        tmi_writer_text(p->out, "%zu samples are missing: there was no memory for them\n", (size_t)p->samples.dropped);
    (void)tmi_os_unmap(memory, nbytes);
}
