#include "base/probe.h"

#define TMI_PROBE_ROW(provider, name, arguments, meaning) uint16_t tmi_probe_##name __attribute__((section(".probes")));
#include "base/probe.def"
#undef TMI_PROBE_ROW
