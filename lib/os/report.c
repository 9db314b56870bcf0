#include "os/report.h"
#include "base/atomic.h"
#include "os/os.h"

#include <stdlib.h>

enum { LINE_MAX_BYTES = 480, STDERR = 2 };

typedef struct out {
    char *buf;
    size_t size, length;
} out_t;

static void put(out_t *o, char c)
{
    if (o->length + 1 < o->size)
        o->buf[o->length++] = c;
}

static void put_string(out_t *o, const char *s)
{
    for (s = s ? s : "(null)"; *s; s++)
        put(o, *s);
}

static void put_number(out_t *o, uint64_t n, unsigned base)
{
    char digits[24];
    unsigned k = 0;
    do
        digits[k++] = "0123456789abcdef"[n % base];
    while ((n /= base) != 0);
    while (k > 0)
        put(o, digits[--k]);
}

static void put_int(out_t *o, int n)
{
    if (n < 0)
        put(o, '-');
    put_number(o, n < 0 ? 0u - (unsigned)n : (unsigned)n, 10);
}

/* One directive at f (after the %); returns its last character. */
static const char *put_directive(out_t *o, const char *f, va_list *args)
{
    switch (*f) {
    case 's': put_string(o, va_arg(*args, const char *)); break;
    case 'c': put(o, (char)va_arg(*args, int)); break;
    case 'd': put_int(o, va_arg(*args, int)); break;
    case 'u': put_number(o, va_arg(*args, unsigned), 10); break;
    case 'p':
        put_string(o, "0x");
        put_number(o, (uintptr_t)va_arg(*args, void *), 16);
        break;
    case 'z':
        put_number(o, va_arg(*args, size_t), 10);
        return f[1] == 'u' ? f + 1 : f;
    default: put(o, *f);
    }
    return f;
}

size_t tmi_vformat(char *buf, size_t size, const char *format, va_list args)
{
    out_t o = {.buf = buf, .size = size};
    va_list copy;
    va_copy(copy, args);
    for (const char *f = format; *f; f++) {
        if (*f == '%' && f[1] != '\0')
            f = put_directive(&o, f + 1, &copy);
        else
            put(&o, *f);
    }
    va_end(copy);
    buf[o.length] = '\0';
    return o.length;
}

size_t tmi_format(char *buf, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t n = tmi_vformat(buf, size, format, args);
    va_end(args);
    return n;
}

void tmi_report(const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    size_t n = tmi_format(line, sizeof line - 1, "tinymem: ");
    va_list args;
    va_start(args, format);
    n += tmi_vformat(line + n, sizeof line - 1 - n, format, args);
    va_end(args);
    line[n++] = '\n';
    tmi_os_write(STDERR, line, n);
}

void (*tmi_misuse_describer)(const char *function, const void *pointer, const char *what);

void tmi_report_misuse(const char *function, const void *pointer, const char *what)
{
    tmi_report("%s(%p): %s", function, pointer, what);
    // pairs: tmi_samples_describe_misuse
    void (*describe)(const char *, const void *, const char *) = tmi_load_acquire(&tmi_misuse_describer);
    if (describe != NULL)
        describe(function, pointer, what);
}

void tmi_fatal(const char *function, const void *pointer, const char *what)
{
    tmi_report_misuse(function, pointer, what);
    abort();
}

void tmi_check_failed(const char *invariant, const char *file, int line)
{
    tmi_report("internal check failed: %s (%s:%d)", invariant, file, line);
    abort();
}

void tmi_audit(bool ok, const char *invariant, const void *where)
{
    if (!ok)
        tmi_fatal("check", where, invariant);
}
