#include "sampling/trace.h"
#include "os/os.h"
#include "os/report.h"

bool (*tmi_trace_namer)(uintptr_t address, char *out, size_t size);

void tmi_trace_capture(tmi_trace_t *out, void *frame)
{
    out->thread = tmi_os_gettid();
    out->depth = (uint32_t)tmi_stack_capture(frame, out->frames);
}

void tmi_trace_capture_inside(tmi_trace_t *out, void *frame, bool tables)
{
    out->thread = tmi_os_gettid();
    out->depth = (uint32_t)tmi_stack_capture_inside(frame, out->frames, tables);
}

void tmi_trace_print(const char *what, const tmi_trace_t *trace)
{
    char name[300];
    if (trace->depth == 0)
        return;
    if (trace->thread == 0)
        tmi_report("  %s:", what);
    else
        tmi_report("  %s by thread %u:", what, trace->thread);
    for (uint32_t i = 0; i < trace->depth && i < TMI_STACK_MAX; i++) {
        bool known = tmi_trace_namer != NULL && tmi_trace_namer(trace->frames[i], name, sizeof name);
        tmi_report("    %p%s%s", (void *)trace->frames[i], known ? " " : "", known ? name : "");
    }
}
