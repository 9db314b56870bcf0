/* Folded stacks: "outermost;...;innermost bytes in use", as flame graph tools read them. */
#include "insight/profile.h"

void tmi_profile_folded(tmi_profile_t *p)
{
    char name[300];
    for (size_t i = 0; i < p->samples.nsites; i++) {
        const tmi_site_t *s = &p->samples.sites[i];
        if (s->live.samples == 0)
            continue;
        if (s->depth == 0)
            tmi_writer_text(p->out, "(other)");
        for (uint32_t k = s->depth; k-- > 0;) {
            tmi_profile_frame_name(p, tmi_profile_frames(p, s)[k], name, sizeof name);
            for (char *c = name; *c != '\0'; c++)
                if (*c == ';' || *c == ' ')
                    *c = '_'; // both characters have a meaning in this format
            tmi_writer_text(p->out, "%s%s", name, k > 0 ? ";" : "");
        }
        tmi_writer_text(p->out, " %zu\n", (size_t)s->live.bytes);
    }
}
