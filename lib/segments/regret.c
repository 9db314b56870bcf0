#include "segments/regret.h"

uint32_t tmi_regret_epoch;
