/* writer.h - writes a file piece by piece through a small buffer.
 *
 * Takes no lock and no memory, so a signal handler may use it. Fails: after the first error nothing more is written,
 * and tmi_writer_close returns false. */
#ifndef TMI_INSIGHT_WRITER_H
#define TMI_INSIGHT_WRITER_H

#include "base/base.h"

typedef struct tmi_writer {
    int fd;
    bool failed;
    size_t n; // bytes in the buffer
    char buffer[2048];
} tmi_writer_t;

/* Create or replace the file. Returns 0, or the errno of open. */
int tmi_writer_open(tmi_writer_t *w, const char *path);
/* The same for a descriptor, which tmi_writer_close closes. False: fd is negative. */
bool tmi_writer_use(tmi_writer_t *w, int fd);
void tmi_writer_bytes(tmi_writer_t *w, const void *bytes, size_t nbytes);
/* Formatted as by tmi_format, at most 480 bytes. */
void tmi_writer_text(tmi_writer_t *w, const char *format, ...) TMI_PRINTF(2, 3);
/* A string in JSON's quotes. */
void tmi_writer_json(tmi_writer_t *w, const char *text);
/* Close the file. True: all bytes were written. */
bool tmi_writer_close(tmi_writer_t *w);

#endif
