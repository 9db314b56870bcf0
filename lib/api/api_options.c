/* The functions of <tinymem/options.h>. */
#pragma GCC visibility push(default)
#include "tinymem/options.h"
#pragma GCC visibility pop

#include "heap/heap.h"
#include "os/options.h"

#include <errno.h>

static bool succeeded(int error)
{
    if (error != 0)
        errno = error;
    return error == 0;
}

bool tm_option_get(const char *name, char *value, size_t size)
{
    tmi_heap_init(); // which reads the options
    return succeeded(tmi_options_get(name, value, size));
}

bool tm_option_set(const char *name, const char *value)
{
    tmi_heap_init();
    return succeeded(tmi_options_set(name, value));
}
