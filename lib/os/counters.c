#include "os/counters.h"

tmi_counters_t tmi_counters;
