/* report.h - messages without allocation, locks or stdio.
 *
 * Format directives: %s, %c, %d (int), %u (unsigned), %zu (size_t), %p (void *), %%. Anything else is printed as it
 * stands. A message is one line of at most 480 bytes, written by one write(2), so that lines of several processes do
 * not mix. */
#ifndef TMI_OS_REPORT_H
#define TMI_OS_REPORT_H

#include "base/base.h"
#include <stdarg.h>

/* Format into buf (size > 0), always terminated. Returns the length written. */
size_t tmi_vformat(char *buf, size_t size, const char *format, va_list args);
size_t tmi_format(char *buf, size_t size, const char *format, ...) TMI_PRINTF(3, 4);

/* "tinymem: " + message + newline on stderr. */
void tmi_report(const char *format, ...) TMI_PRINTF(1, 2) TMI_COLD;

/* Misuse: report "tinymem: FUNCTION(POINTER): what", and what a layer above knows of it. */
void tmi_report_misuse(const char *function, const void *pointer, const char *what) TMI_COLD;
extern void (*tmi_misuse_teller)(const char *function, const void *pointer, const char *what);

/* Misuse or corruption: report it as misuse, and abort. */
_Noreturn void tmi_fatal(const char *function, const void *pointer, const char *what) TMI_COLD;

/* For audits, in every build: a breach of a numbered invariant at `where` is reported as by tmi_fatal. */
void tmi_audit(bool ok, const char *invariant, const void *where);

_Noreturn void tmi_check_failed(const char *invariant, const char *file, int line) TMI_COLD;

/* Cite the invariant's number: TMI_VERIFY(x == y, "S2 free count"). Check builds only; no side effects. */
#if TMI_CHECK
#define TMI_VERIFY(condition, invariant) \
    ((condition) ? (void)0 : tmi_check_failed((invariant), __FILE__, __LINE__))
#else
#define TMI_VERIFY(condition, invariant) ((void)sizeof(condition))
#endif

#endif
