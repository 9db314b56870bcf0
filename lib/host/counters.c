#include "host/counters.h"

tmi_counters_t tmi_counters;
