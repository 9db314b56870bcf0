/* JSON for DHAT's viewer (dh_view.html, file version 2): one program point for each site, without lifetimes and
 * accesses. */
#include "os/os.h"
#include "os/report.h"
#include "insight/profile.h"

#include <errno.h>

static void program_point(tmi_profile_t *p, tmi_frame_table_t *t, const tmi_site_t *s, bool first)
{
    bool fresh;
    tmi_writer_text(p->out, "%s{\"tb\":%zu,\"tbk\":%zu,\"eb\":%zu,\"ebk\":%zu,\"fs\":[", first ? "" : ",\n",
                    (size_t)s->total.bytes, (size_t)s->total.blocks / TMI_SAMPLES_BLOCK, (size_t)s->live.bytes,
                    (size_t)s->live.blocks / TMI_SAMPLES_BLOCK);
    for (uint32_t k = 0; k < s->depth; k++)
        tmi_writer_text(p->out, "%s%u", k > 0 ? "," : "", tmi_frame_number(t, tmi_profile_frames(p, s)[k], &fresh));
    tmi_writer_text(p->out, "%s]}", s->depth == 0 ? "0" : "");
}

/* Walks the sites again, so that addresses come in the order of their numbers. */
static void frame_table(tmi_profile_t *p, tmi_frame_table_t *t)
{
    bool fresh;
    char name[300], line[360];
    tmi_frames_rewind(t);
    tmi_writer_json(p->out, "[root]");
    for (size_t i = 0; i < p->samples.nsites; i++) {
        const tmi_site_t *s = &p->samples.sites[i];
        for (uint32_t k = 0; s->total.samples > 0 && k < s->depth; k++) {
            uintptr_t address = tmi_profile_frames(p, s)[k];
            (void)tmi_frame_number(t, address, &fresh);
            if (!fresh)
                continue;
            tmi_profile_frame_name(p, address, name, sizeof name);
            (void)tmi_format(line, sizeof line, "%p: %s", (void *)address, name);
            tmi_writer_text(p->out, ",\n");
            tmi_writer_json(p->out, line);
        }
    }
}

void tmi_profile_dhat(tmi_profile_t *p)
{
    tmi_frame_table_t t;
    bool first = true;
    tmi_writer_text(p->out, "{\"dhatFileVersion\":2,\"mode\":\"heap\",\"verb\":\"Allocated\",");
    tmi_writer_text(p->out, "\"bklt\":false,\"bkacc\":false,");
    tmi_writer_text(p->out, "\"tu\":\"bytes\",\"Mtu\":\"MB\",\"tuth\":10,\"cmd\":");
    tmi_writer_json(p->out, program_invocation_name);
    tmi_writer_text(p->out, ",\"pid\":%u,\"te\":0,\n\"pps\":[", tmi_os_getpid());
    if (!tmi_frames_open(&t, &p->samples)) {
        p->out->failed = true;
        return;
    }
    for (size_t i = 0; i < p->samples.nsites; i++) {
        if (p->samples.sites[i].total.samples == 0)
            continue;
        program_point(p, &t, &p->samples.sites[i], first);
        first = false;
    }
    tmi_writer_text(p->out, "],\n\"ftbl\":[");
    frame_table(p, &t);
    tmi_writer_text(p->out, "]}\n");
    tmi_frames_close(&t);
}
