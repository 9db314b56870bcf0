#define _GNU_SOURCE
/* Options compiled in, read and changed. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <tinymem/options.h>

const char *tm_options = "purge_delay:1234,huge:on,purge_keep:7";

static void show(const char *name)
{
    char value[256];
    puts(tm_option_get(name, value, sizeof value) ? value : strerrorname_np(errno));
}

static void change(const char *name, const char *value)
{
    if (!tm_option_set(name, value))
        puts(strerrorname_np(errno));
}

int main(void)
{
    char small[2];
    show("purge_delay");
    show("purge_keep");
    show("huge");
    change("purge_delay", "50");
    show("purge_delay");
    change("huge", "off");
    change("purge_delay", "50ms");
    show("nothing");
    puts(tm_option_get("huge", small, sizeof small) ? "cut" : strerrorname_np(errno));
    return 0;
}
