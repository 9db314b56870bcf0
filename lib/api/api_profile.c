/* The functions of <tinymem/profile.h>. */
#pragma GCC visibility push(default)
#include "tinymem/profile.h"
#pragma GCC visibility pop

#include "insight/profile.h"
#include "slabs/raw.h"

int tm_profile_start(size_t interval) { return tmi_profile_start(interval); }
void tm_profile_stop(void) { tmi_profile_stop(); }
int tm_profile_dump(const char *path) { return tmi_profile_dump(path); }
bool tm_should_move(const void *p) { return p != NULL && tmi_raw_should_move(p); }
int je_get_defrag_hint(void *p) { return tm_should_move(p); }
