/* Lines that follow a report of misuse: the sampled block that was misused, where it was allocated and freed.
 * The caller may hold locks of the library, so nothing here waits for a lock, and stacks are captured without
 * libunwind. */
#include "os/report.h"
#include "sampling/history.h"
#include "sampling/samples.h"

#include <string.h>

/* Functions named tm_* report a handle, whose upper half is the index; all others report an address. */
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

/* `frame` is that of the caller, so that copied addresses in this function's own frame are not taken for the stack. */
static void print_here(void *frame)
{
    tmi_trace_t here;
    tmi_trace_capture_inside(&here, frame, false);
    tmi_trace_print("here", &here);
}

/* A stale handle belongs to a freed object. Its index may have a new, live object, which is not the one misused. */
static void describe(const char *function, const void *p, const char *what)
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

// pairs: tmi_report_misuse
void tmi_samples_describe_misuse(void) { tmi_store_release(&tmi_misuse_describer, describe); }
