#include "base/base.h"
#include "tinymem/tinymem.h"

TM_EXPORT const char *tm_version(void) { return TMI_VERSION; }
