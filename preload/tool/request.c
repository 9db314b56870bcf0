/* Requests to a process: a byte in its memory is set, and becomes 0 again when a thread of the process takes the
 * request. */
#include "os/counters.h"
#include "os/options.h"
#include "target.h"
#include "tool.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 1000, WAIT_MAX_MS = 3600 * 1000 };

unsigned long tool_now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (unsigned long)t.tv_sec * 1000 + (unsigned long)t.tv_nsec / 1000000;
}

bool target_serves(const target_t *t, tmi_request_t which)
{
    tmi_request_client_t client;
    uintptr_t at = t->place[TMI_PLACE_tmi_request_clients] + which * sizeof client;
    return target_read(t, at, &client, sizeof client) && client.handler != NULL;
}

/* Whether the request has not been taken yet, or a thread is still serving it. */
static bool pending(const target_t *t, tmi_request_t which)
{
    uint8_t left;
    uint32_t serving;
    return !target_read(t, t->place[TMI_PLACE_tmi_requests] + which, &left, 1) || left != 0 ||
           !target_read(t, t->place[TMI_PLACE_tmi_request_serving], &serving, sizeof serving) || serving != 0;
}

bool target_leave(const target_t *t, tmi_request_t which, unsigned long wait_ms)
{
    const uint8_t one = 1;
    unsigned long start = tool_now_ms();
    if (!target_write(t, t->place[TMI_PLACE_tmi_requests] + which, &one, 1))
        tool_fail("process %d: the request cannot be written: no right to, or the process has ended", (int)t->pid);
    for (;;) {
        const struct timespec pause = {0, 1000000};
        if (!pending(t, which))
            return true;
        if (tool_now_ms() - start >= wait_ms)
            return false;
        (void)nanosleep(&pause, NULL);
    }
}

static void say_left(const target_t *t, unsigned long wait_ms)
{
    printf("left, and not served within %lu ms: process %d (%s) %s\n", wait_ms, (int)t->pid, t->name,
           target_stopped(t) ? "is stopped" : "serves it when it next allocates or frees");
}

static size_t resident(const target_t *t)
{
    size_t rss = 0;
    char *status = target_file(t->pid, "status");
    (void)target_field(status, "VmRSS", &rss);
    free(status);
    return rss;
}

static size_t purged(const target_t *t)
{
    size_t nbytes = 0;
    uintptr_t at = t->place[TMI_PLACE_tmi_counters] + offsetof(tmi_counters_t, purged_bytes);
    (void)target_read(t, at, &nbytes, sizeof nbytes);
    return nbytes;
}

static unsigned long open_words(target_t *t, const char *command, char **words)
{
    const char *wait = NULL, *library = NULL;
    const tool_option_t options[] = {{"--wait", NULL, &wait}, {"--library", NULL, &library}, {NULL, NULL, NULL}};
    const char *pid = tool_only_word(command, words, tool_take_options(command, words, options), "a process number");
    unsigned long wait_ms =
        wait == NULL ? WAIT_MS : tool_number(command, "a number of milliseconds", wait, WAIT_MAX_MS);
    target_open(t, command, pid, library);
    return wait_ms;
}

int tool_trim(char **words)
{
    target_t t;
    unsigned long wait_ms = open_words(&t, "trim", words);
    if (!target_serves(&t, TMI_REQUEST_TRIM)) {
        printf("nothing to give back: process %d (%s) has not allocated yet\n", (int)t.pid, t.name);
        return 0;
    }
    size_t rss = resident(&t), before = purged(&t);
    if (target_leave(&t, TMI_REQUEST_TRIM, wait_ms))
        printf("served: process %d (%s) gave %s back; resident set %s before, %s now\n", (int)t.pid, t.name,
               tool_size(purged(&t) - before), tool_size(rss), tool_size(resident(&t)));
    else
        say_left(&t, wait_ms);
    return 0;
}

/* Print where the process writes its profile, as far as its options tell. The option is looked up by name, since a
 * library built without profiles does not have it. */
static void say_profile(target_t *t)
{
    char text[4096], folder[512] = "", link[64];
    const char *item = NULL;
    if (target_read(t, t->place[TMI_PLACE_tmi_options], &tmi_options, sizeof tmi_options)) {
        (void)tmi_options_describe(text, sizeof text);
        item = strstr(text, "profile_file:");
    }
    printf("served: process %d (%s) has written its profile", (int)t->pid, t->name);
    if (item != NULL) {
        item += strlen("profile_file:");
        snprintf(link, sizeof link, "/proc/%d/cwd", (int)t->pid);
        if (item[0] != '/' && readlink(link, folder, sizeof folder - 2) > 0)
            strcat(folder, "/");
        printf(": %s", folder);
        for (size_t n = strcspn(item, ","); n > 0; n--, item++) {
            if (n > 1 && item[0] == '%' && item[1] == 'p') {
                printf("%d", (int)t->pid);
                n--;
                item++;
            } else {
                putchar(*item);
            }
        }
    }
    putchar('\n');
}

int tool_profile(char **words)
{
    target_t t;
    unsigned long wait_ms = open_words(&t, "profile", words);
    if (!target_serves(&t, TMI_REQUEST_PROFILE))
        tool_fail("process %d (%s) keeps no profile: it must be started with one, see `tinymem options`, and with a "
                  "library that can",
                  (int)t.pid, t.name);
    if (target_leave(&t, TMI_REQUEST_PROFILE, wait_ms))
        say_profile(&t);
    else
        say_left(&t, wait_ms);
    return 0;
}
