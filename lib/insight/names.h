/* names.h - names of functions, for the reports of misuse that lower layers print.
 *
 * The process's map and symbol tables are read for the first name. They are never released, since the process is about
 * to end. No locks and no heap, so a signal handler may use it. */
#ifndef TMI_INSIGHT_NAMES_H
#define TMI_INSIGHT_NAMES_H

#include "insight/maps.h"

/* Make reports print names from now on. */
void tmi_names_start(void) TMI_COLD;

#endif
