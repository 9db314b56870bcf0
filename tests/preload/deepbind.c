/* A plugin that is opened with RTLD_DEEPBIND has the program's malloc nevertheless: what it frees may come from here,
 * and what it makes may be freed here. */
#include "tap.h"

#include <dlfcn.h>

static void *symbol(void *lib, const char *name)
{
    void *p = dlsym(lib, name);
    tap(p != NULL, "the plugin has %s", name);
    return p;
}

int main(void)
{
    void *lib = dlopen(tap_module("deepbind"), RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (!tap(lib != NULL, "the plugin opens"))
        return tap_done();
    void *(*address)(void) = (void *(*)(void))symbol(lib, "plugin_malloc_address");
    void *(*make)(size_t) = (void *(*)(size_t))symbol(lib, "plugin_malloc");
    void (*unmake)(void *) = (void (*)(void *))symbol(lib, "plugin_free");
    tap(address() == dlsym(RTLD_DEFAULT, "malloc"), "its malloc is the program's");
    for (size_t size = 1; size < 1 << 20; size = size * 3 + 1) {
        unmake(malloc(size));
        free(make(size));
    }
    tap(true, "each frees what the other has made");
    void *again = dlmopen(LM_ID_BASE, tap_module("deepbind"), RTLD_NOW | RTLD_DEEPBIND);
    tap(again == lib, "dlmopen into the program's namespace finds the same");
    tap(dlopen("no such library", RTLD_NOW | RTLD_DEEPBIND) == NULL && dlerror() != NULL,
        "what cannot be opened is reported");
    return tap_done();
}
