#include "heap/dump.h"
#include "base/atomic.h"
#include "heap/stats.h"
#include "os/options.h"
#include "os/os.h"
#include "os/report.h"
#include "threads/request.h"

#include <errno.h>
#include <fcntl.h>

enum { STDERR = 2, INTERVAL_MAX = 2000000 };
#define TEXT_BYTES ((size_t)512 << 10) // address space for the text; only pages written to become resident

static int stderr_fd = STDERR; // or a copy of it
static uint32_t writer;        // see tmi_dump_begin

static void complain(const char *what, const char *name)
{
    static uint32_t said;
    if (tmi_exchange_relaxed(&said, 1) == 0)
        tmi_report(what, name);
}

void tmi_dump_name(char *out, const char *pattern, const char *suffix)
{
    size_t n = 0;
    for (const char *s = pattern; *s != '\0'; s++) {
        if (s[0] == '%' && s[1] == 'p') {
            n += tmi_format(out + n, TMI_DUMP_NAME - n, "%u", tmi_os_getpid());
            s++;
        } else if (n + 1 < TMI_DUMP_NAME) {
            out[n++] = *s;
        }
    }
    (void)tmi_format(out + n, TMI_DUMP_NAME - n, "%s", suffix);
}

static void make_name(char *out, const char *suffix) { tmi_dump_name(out, tmi_options.stats_file, suffix); }

static bool write_file(const char *name, int how, const char *text, size_t nbytes)
{
    int fd = tmi_os_open(name, O_WRONLY | O_CREAT | O_CLOEXEC | how, 0666);
    if (fd < 0) {
        complain("cannot open %s for the summary", name);
        return false;
    }
    bool whole = tmi_os_write(fd, text, nbytes);
    tmi_os_close(fd);
    if (!whole)
        complain("cannot write all of %s: statistics are lost", name);
    return whole;
}

void tmi_dump_line(const char *line, size_t nbytes)
{
    char name[TMI_DUMP_NAME];
    if (tmi_options.stats_file[0] == '\0') {
        (void)tmi_os_write(stderr_fd, line, nbytes);
        return;
    }
    make_name(name, "");
    (void)write_file(name, O_APPEND, line, nbytes);
}

static void replace_file(const char *text, size_t nbytes)
{
    char name[TMI_DUMP_NAME], fresh[TMI_DUMP_NAME], suffix[16];
    (void)tmi_format(suffix, sizeof suffix, ".%u", tmi_os_getpid());
    make_name(name, "");
    make_name(fresh, suffix);
    if (!write_file(fresh, O_TRUNC, text, nbytes))
        (void)tmi_os_remove(fresh);
    else if (tmi_os_rename(fresh, name) != 0)
        complain("cannot rename a file to %s: statistics are lost", name);
}

static void put(const char *text, size_t nbytes, bool replacing)
{
    if (replacing && tmi_options.stats_file[0] != '\0')
        replace_file(text, nbytes);
    else
        tmi_dump_line(text, nbytes);
}

bool tmi_dump_begin(uint32_t *w)
{
    uint32_t self = tmi_os_getpid(), found = 0;
    if (tmi_cas_acquire(w, &found, self)) // pairs: tmi_dump_end
        return true;
    return found != self && tmi_cas_acquire(w, &found, self);
}

void tmi_dump_end(uint32_t *w) { tmi_store_release(w, 0); } // pairs: tmi_dump_begin

void tmi_dump_now(void)
{
    void *p;
    bool prometheus = tmi_options.stats == TMI_STATS_PROMETHEUS;
    if (!tmi_dump_begin(&writer)) {
        tmi_request_post(TMI_REQUEST_STATS);
        return;
    }
    if (tmi_os_map_records(TEXT_BYTES, &p) == 0) {
        size_t n = prometheus ? tmi_stats_prometheus(p, TEXT_BYTES) : tmi_stats_json(p, TEXT_BYTES);
        put(p, tmi_min(n, TEXT_BYTES - 1), prometheus);
        (void)tmi_os_unmap(p, TEXT_BYTES);
    }
    tmi_dump_end(&writer);
}

static void keep_stderr(void)
{
    enum { OUT_OF_THE_WAY = 200 };
    int fd = tmi_os_duplicate(STDERR, OUT_OF_THE_WAY);
    if (fd >= 0)
        stderr_fd = fd;
}

static void take_signal(void)
{
    int number = (int)tmi_options.stats_signal, err = tmi_request_on_signal(TMI_REQUEST_STATS, number, tmi_dump_now);
    if (err == EBUSY)
        tmi_report("option stats_signal:%d is not used: the signal is ignored, or has a handler", number);
    else if (err != 0)
        tmi_report("option stats_signal:%d is not used: no handler can be set for it", number);
}

void tmi_dump_at_start(void)
{
    bool wanted = (tmi_options.stats | tmi_options.stats_signal | tmi_options.stats_interval) != 0;
    if (wanted && tmi_options.stats_file[0] == '\0')
        keep_stderr();
    tmi_request_handle(TMI_REQUEST_STATS, tmi_dump_now);
    if (tmi_options.stats_signal != 0)
        take_signal();
    if (tmi_options.stats_interval != 0)
        tmi_request_every(TMI_REQUEST_STATS, (uint32_t)tmi_min(tmi_options.stats_interval, INTERVAL_MAX) * 1000);
}
