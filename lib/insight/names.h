/* names.h - names of functions for reports of misuse, which lower layers print.
 *
 * The process's map and symbol tables are read when the first name is asked for, and stay: the process is about to end.
 * No locks and no heap; may be used in a signal handler. */
#ifndef TMI_INSIGHT_NAMES_H
#define TMI_INSIGHT_NAMES_H

#include "insight/maps.h"

/* From now on reports have names. */
void tmi_names_begin(void) TMI_COLD;

#endif
