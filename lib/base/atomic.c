#include "base/atomic.h"

#if TMI_TEST_HOOKS
void (*tmi_atomic_point)(void);
#endif
