/* writer.h - a file that is written piece by piece through a small buffer.
 *
 * No lock and no memory: it may be used in a signal handler. Fails: after the first error nothing more is written, and
 * tmi_writer_close tells. */
#ifndef TMI_INSIGHT_WRITER_H
#define TMI_INSIGHT_WRITER_H

#include "base/base.h"

typedef struct tmi_writer {
    int fd;
    bool failed;
    size_t n; // bytes in the buffer
    char buffer[2048];
} tmi_writer_t;

/* Create or replace the file. 0, or the errno for which it cannot be opened. */
int tmi_writer_open(tmi_writer_t *w, const char *path);
void tmi_writer_bytes(tmi_writer_t *w, const void *bytes, size_t nbytes);
/* Formatted as by tmi_format, at most 480 bytes. */
void tmi_writer_text(tmi_writer_t *w, const char *format, ...) TMI_PRINTF(2, 3);
/* A string in JSON's quotes. */
void tmi_writer_json(tmi_writer_t *w, const char *text);
/* True if all has been written. */
bool tmi_writer_close(tmi_writer_t *w);

#endif
