/* stat_text.h - the statistics of a look as text, for tinymem stat and tinymem top. */
#ifndef TMI_TOOL_STAT_TEXT_H
#define TMI_TOOL_STAT_TEXT_H

#include "replica.h"

#include <stdio.h>

/* The process and the library; the figures of each heap; up to `most` of the largest classes, which sorts the sheet's
 * rows; the remaining figures. */
void stat_put_head(FILE *to, const target_t *t, const tmi_sheet_t *s);
void stat_put_heaps(FILE *to, const tmi_sheet_t *s);
void stat_put_classes(FILE *to, tmi_sheet_t *s, size_t most);
void stat_put_foot(FILE *to, const replica_t *r, const tmi_sheet_t *s);

#endif
