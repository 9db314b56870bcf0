/* What the samples know of a block that has been misused: lines that follow the message. Locks of ours may be held, so
 * nothing waits for one, and the stack is found without the unwinder. */
#include "os/report.h"
#include "sampling/history.h"
#include "sampling/samples.h"

#include <string.h>

/* Functions of handles report a handle, whose upper half is the index; others an address. */
static uint64_t key_of(const char *function, const void *p)
{
    bool handle = strncmp(function, "tm_", 3) == 0;
    return handle ? tmi_samples_key_of_index((uint32_t)((uintptr_t)p >> 32)) : (uintptr_t)p;
}

static void print_place(uint64_t key, uint64_t start, uint64_t size, bool freed)
{
    char what[64];
    uint32_t index;
    size_t offset = (size_t)(key - start);
    (void)tmi_format(what, sizeof what, "a %s%s of %zu byte%s", freed ? "freed " : "",
                     tmi_samples_is_index(key, &index) ? "object" : "block", (size_t)size, size == 1 ? "" : "s");
    if (offset == 0)
        tmi_report("  it is %s", what);
    else
        tmi_report("  it lies %zu byte%s into %s at %p", offset, offset == 1 ? "" : "s", what,
                   (void *)(uintptr_t)start);
}

/* `frame`: above it on the stack no addresses lie that have been copied. */
static void print_here(void *frame)
{
    tmi_trace_t here;
    tmi_trace_capture_inside(&here, frame, false);
    tmi_trace_print("here", &here);
}

/* A stale handle is that of a past object, whatever its index has now. */
static void tell(const char *function, const void *p, const char *what)
{
    tmi_past_t past;
    tmi_sample_t live;
    uint64_t key = key_of(function, p);
    if (strncmp(what, "stale", 5) != 0 && tmi_samples_find(key, &live, &past.allocated)) {
        print_place(key, live.key, live.size, false);
        print_here(__builtin_frame_address(0));
        tmi_trace_print("allocated", &past.allocated);
    } else if (tmi_history_find(key, &past)) {
        print_place(key, past.key, past.size, true);
        print_here(__builtin_frame_address(0));
        tmi_trace_print("allocated", &past.allocated);
        tmi_trace_print("freed", &past.freed);
    }
}

void tmi_samples_tell_misuse(void) { tmi_store_release(&tmi_misuse_teller, tell); } // pairs: tmi_report_misuse
