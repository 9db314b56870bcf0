#include "insight/profile.h"
#include "heap/dump.h"
#include "heap/heap.h"
#include "heap/object.h"
#include "insight/names.h"
#include "os/options.h"
#include "os/os.h"
#include "os/report.h"
#include "sampling/stack.h"
#include "threads/request.h"

#include <errno.h>
#include <string.h>

static uint32_t writer; // see tmi_dump_begin

/* ---- writing --------------------------------------------------------------------------------------------------- */

void tmi_profile_frame_name(tmi_profile_t *p, uintptr_t address, char *out, size_t size)
{
    tmi_map_t *m = tmi_maps_find(&p->maps, address - 1); // inside the call instruction; the address is the one after it
    if (m != NULL && tmi_maps_name(m, address - 1, out, size))
        return;
    const char *slash = m != NULL ? strrchr(m->path, '/') : NULL;
    if (slash != NULL)
        (void)tmi_format(out, size, "%s+%p", slash + 1, (void *)(address - m->start + m->offset));
    else
        (void)tmi_format(out, size, "%p", (void *)address);
}

static void write_form(tmi_profile_t *p, uint32_t format)
{
    switch (format) {
    case TMI_PROFILE_PPROF: tmi_profile_pprof(p); return;
    case TMI_PROFILE_FOLDED: tmi_profile_folded(p); return;
    case TMI_PROFILE_WORDS: tmi_profile_words(p); return;
    case TMI_PROFILE_DHAT: tmi_profile_dhat(p); return;
    case TMI_PROFILE_LEAKS: tmi_profile_leaks(p, __builtin_frame_address(0)); return;
    default: tmi_profile_heap(p);
    }
}

static bool blames(uint32_t format) { return format == TMI_PROFILE_PPROF || format == TMI_PROFILE_WORDS; }

/* NULL: stderr. 0 or an errno. */
static int open_file(tmi_writer_t *out, const char *path)
{
    if (path != NULL)
        return tmi_writer_open(out, path);
    return tmi_writer_use(out, tmi_os_duplicate(2, 3)) ? 0 : EBADF;
}

/* Returns 0 or an errno. A signal handler passes false for `wait`. */
static int write_to(const char *path, uint32_t format, bool wait)
{
    tmi_writer_t out;
    tmi_profile_t p = {.out = &out};
    bool leaks = format == TMI_PROFILE_LEAKS, blame = wait && blames(format);
    if ((leaks && !wait) || !tmi_dump_begin(&writer))
        return EAGAIN;
    int err = tmi_samples_snapshot(&p.samples, blame || leaks, wait);
    if (err == 0) {
        (void)tmi_maps_read(&p.maps);
        if (blame)
            (void)tmi_profile_charge(&p);
        err = open_file(&out, path);
        if (err == 0) {
            write_form(&p, format);
            err = tmi_writer_close(&out) ? 0 : EIO;
        }
        tmi_profile_uncharge(&p);
        tmi_maps_close(&p.maps);
        tmi_samples_release(&p.samples);
    }
    tmi_dump_end(&writer);
    return err;
}

/* Write the name of the file to `out`. In a child of fork the process ID is appended, so that the child does not
 * replace its parent's file; names below /dev/ are left as they are. */
static void make_name(char *out, const char *suffix)
{
    const char *file = tmi_options.profile_file;
    char own[32];
    if (tmi_samples_inherited() && strstr(file, "%p") == NULL && strncmp(file, "/dev/", 5) != 0) {
        (void)tmi_format(own, sizeof own, ".%u%s", tmi_os_getpid(), suffix);
        suffix = own;
    }
    tmi_dump_name(out, file, suffix);
}

static int write_unasked(const char *suffix, bool wait)
{
    static uint32_t said;
    char name[TMI_DUMP_NAME];
    make_name(name, suffix);
    int err = write_to(name, tmi_options.profile_format, wait);
    if (err != 0 && err != EAGAIN && tmi_exchange_relaxed(&said, 1) == 0) // relaxed: a message
        tmi_report(err == EIO ? "cannot write all of %s: the profile is lost" : "cannot write the profile to %s", name);
    return err;
}

int tmi_profile_dump(const char *path)
{
    char name[TMI_DUMP_NAME];
    if (tmi_load_acquire(&tmi_sample_hints) == NULL) // pairs: tmi_samples_start
        return EINVAL;
    make_name(name, "");
    return write_to(path != NULL ? path : name, tmi_options.profile_format, true);
}

static void on_request(void)
{
    if (tmi_load_acquire(&tmi_sample_hints) == NULL) // pairs: tmi_samples_start
        return;
    bool peak = tmi_samples_new_peak() && tmi_options.profile_peak;
    if (write_unasked(peak ? ".peak" : "", true) == EAGAIN)
        tmi_request_post(TMI_REQUEST_PROFILE);
}

static void on_signal(void)
{
    if (write_unasked("", false) == EAGAIN)
        tmi_request_post(TMI_REQUEST_PROFILE);
}

/* ---- from start to end ------------------------------------------------------------------------------------------- */

int tmi_profile_start(size_t interval)
{
    if (tmi_load_relaxed(&tmi_sampling)) // relaxed: a thread that starts profiling at the same time does the same
        return 0;
    tmi_heap_init();
    (void)tmi_thread_or_null();
    tmi_stack_init();
    tmi_names_start();
    tmi_request_show(TMI_REQUEST_PROFILE, tmi_samples_view());
    tmi_request_handle(TMI_REQUEST_PROFILE, on_request);
    tmi_object_watch(true);
    int err = tmi_samples_start(interval != 0 ? interval : tmi_options.profile_interval);
    if (err == 0)
        tmi_heap_watch(true);
    return err;
}

/* Sampled blocks remain in the tables, and their frees are still noticed. */
void tmi_profile_stop(void)
{
    if (!tmi_load_relaxed(&tmi_sampling)) // relaxed: as in tmi_profile_start
        return;
    tmi_samples_stop();
    tmi_heap_watch(false);
}

void tmi_profile_at_start(void)
{
    if (!tmi_options.profile && !tmi_options.leaks)
        return;
    int err = tmi_profile_start(0);
    if (err != 0) {
        tmi_report("option %s:on: no memory for the profile", tmi_options.profile ? "profile" : "leaks");
        return;
    }
    if (tmi_options.profile_signal == 0)
        return;
    err = tmi_request_on_signal(TMI_REQUEST_PROFILE, (int)tmi_options.profile_signal, on_signal);
    if (err != 0)
        tmi_report("option profile_signal:%u is not used: %s", tmi_options.profile_signal,
                   err == EBUSY ? "the signal is ignored, or has a handler" : "no handler can be set for it");
}

void tmi_profile_at_exit(void)
{
    if (tmi_load_acquire(&tmi_sample_hints) == NULL) // pairs: tmi_samples_start
        return;
    if (tmi_options.leaks)
        (void)write_to(NULL, TMI_PROFILE_LEAKS, true);
    if (tmi_options.profile)
        (void)write_unasked("", true);
}
