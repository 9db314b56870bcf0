/* The report in words: which sites hold memory, and which keep empty memory resident. */
#include "heap/account.h"
#include "os/os.h"
#include "insight/profile.h"

enum { ROWS = 10, FRAMES = 6 };

typedef uint64_t (*measure_t)(const tmi_profile_t *p, size_t site);

static uint64_t in_use(const tmi_profile_t *p, size_t site) { return p->samples.sites[site].live.bytes; }
static uint64_t stranded(const tmi_profile_t *p, size_t site) { return p->stranded != NULL ? p->stranded[site] : 0; }

static uint64_t sum(const tmi_profile_t *p, measure_t of, size_t *nsites)
{
    uint64_t total = 0;
    *nsites = 0;
    for (size_t i = 0; i < p->samples.nsites; i++) {
        total += of(p, i);
        *nsites += of(p, i) > 0;
    }
    return total;
}

/* In tenths of a MiB. */
static void mebibytes(tmi_writer_t *out, uint64_t bytes)
{
    size_t tenths = (size_t)((bytes * 10 + TMI_MIB / 2) / TMI_MIB);
    tmi_writer_text(out, "%zu.%zu MiB", tenths / 10, tenths % 10);
}

static void stack(tmi_profile_t *p, const tmi_site_t *s)
{
    char name[200];
    for (uint32_t k = 0; k < s->depth && k < FRAMES; k++) {
        tmi_profile_frame_name(p, tmi_profile_frames(p, s)[k], name, sizeof name);
        tmi_writer_text(p->out, "%s%s", k > 0 ? " < " : "", name);
    }
    tmi_writer_text(p->out, "%s\n", s->depth == 0 ? "(other)" : s->depth > FRAMES ? " < ..." : "");
}

/* The next site in descending order of `of`, after `last`, which has `bytes`. 0: there is none. */
static size_t next_site(const tmi_profile_t *p, measure_t of, uint64_t bytes, size_t last, bool first)
{
    size_t best = 0;
    for (size_t i = 0; i < p->samples.nsites; i++) {
        uint64_t n = of(p, i);
        bool after = first || n < bytes || (n == bytes && i > last);
        if (n > 0 && after && (best == 0 || n > of(p, best)))
            best = i;
    }
    return best;
}

/* Write up to ROWS sites, the largest first. Returns their bytes. */
static uint64_t list(tmi_profile_t *p, measure_t of)
{
    uint64_t listed = 0, bytes = 0;
    size_t site = 0;
    for (int row = 0; row < ROWS; row++) {
        site = next_site(p, of, bytes, site, row == 0);
        if (site == 0)
            break;
        bytes = of(p, site);
        listed += bytes;
        tmi_writer_text(p->out, "  ");
        mebibytes(p->out, bytes);
        tmi_writer_text(p->out, " in %zu blocks: ", (size_t)(p->samples.sites[site].live.blocks / TMI_SAMPLES_BLOCK));
        stack(p, &p->samples.sites[site]);
    }
    return listed;
}

static void summary(tmi_profile_t *p, uint64_t bytes, size_t nsites, const char *what)
{
    tmi_writer_text(p->out, "%zu call site%s ", nsites, nsites == 1 ? "" : "s");
    tmi_writer_text(p->out, "%s ", what);
    mebibytes(p->out, bytes);
}

void tmi_profile_words(tmi_profile_t *p)
{
    size_t nsites;
    if (p->samples.inherited)
        tmi_writer_text(p->out, "A child of fork: blocks of its own, and those of its parent that live on.\n");
    tm_heap_stats_t stats = {.struct_size = sizeof stats};
    tmi_account_read(&stats);
    uint64_t live = sum(p, in_use, &nsites);
    summary(p, live, nsites, nsites == 1 ? "holds" : "hold");
    tmi_writer_text(p->out, ":\n");
    (void)list(p, in_use);
    if (p->samples.dropped > 0)
        tmi_writer_text(p->out, "%zu samples are missing: there was no memory for them\n", (size_t)p->samples.dropped);
    uint64_t held = sum(p, stranded, &nsites);
    summary(p, held, nsites, nsites == 1 ? "keeps" : "keep");
    tmi_writer_text(p->out, " of empty memory, by estimate; ");
    mebibytes(p->out, stats.raw.stranded + stats.raw.slack);
    tmi_writer_text(p->out, " lie in pages with live blocks of malloc's%s\n",
                    held > 0 ? "; as handles they would free it:" : "");
    (void)list(p, stranded);
}
