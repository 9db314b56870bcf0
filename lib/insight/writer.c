#include "insight/writer.h"
#include "os/os.h"
#include "os/report.h"

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

int tmi_writer_open(tmi_writer_t *w, const char *path)
{
    w->fd = tmi_os_open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    w->failed = false;
    w->n = 0;
    return w->fd >= 0 ? 0 : -w->fd;
}

static void flush(tmi_writer_t *w)
{
    if (w->n > 0 && !w->failed)
        w->failed = !tmi_os_write(w->fd, w->buffer, w->n);
    w->n = 0;
}

void tmi_writer_bytes(tmi_writer_t *w, const void *bytes, size_t nbytes)
{
    const char *from = bytes;
    while (nbytes > 0) {
        size_t part = tmi_min(nbytes, sizeof w->buffer - w->n);
        memcpy(w->buffer + w->n, from, part);
        w->n += part;
        from += part;
        nbytes -= part;
        if (w->n == sizeof w->buffer)
            flush(w);
    }
}

void tmi_writer_text(tmi_writer_t *w, const char *format, ...)
{
    char line[481];
    va_list args;
    va_start(args, format);
    size_t n = tmi_vformat(line, sizeof line, format, args);
    va_end(args);
    tmi_writer_bytes(w, line, n);
}

void tmi_writer_json(tmi_writer_t *w, const char *text)
{
    static const char digits[] = "0123456789abcdef";
    tmi_writer_bytes(w, "\"", 1);
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        char escaped[6] = {'\\', 'u', '0', '0', digits[*c >> 4], digits[*c & 15]};
        if (*c < 0x20 || *c >= 0x7f)
            tmi_writer_bytes(w, escaped, 6); // bytes as in Latin-1: names may be in any encoding
        else if (*c == '"' || *c == '\\')
            tmi_writer_bytes(w, (char[]){'\\', (char)*c}, 2);
        else
            tmi_writer_bytes(w, c, 1);
    }
    tmi_writer_bytes(w, "\"", 1);
}

bool tmi_writer_close(tmi_writer_t *w)
{
    flush(w);
    tmi_os_close(w->fd);
    return !w->failed;
}
