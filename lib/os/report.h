/* report.h - messages without allocation, locks or stdio.
 *
 * Format directives: %s, %c, %d (int), %u (unsigned), %zu (size_t), %p (void *), %%. Other characters are printed as
 * they are. A message is one line of at most 480 bytes. One write(2) writes it, so that lines of several processes do
 * not mix. */
#ifndef TMI_OS_REPORT_H
#define TMI_OS_REPORT_H

#include "base/base.h"
#include <stdarg.h>

/* Format into buf (size > 0). The result is always terminated. Returns its length. */
size_t tmi_vformat(char *buf, size_t size, const char *format, va_list args);
size_t tmi_format(char *buf, size_t size, const char *format, ...) TMI_PRINTF(3, 4);

/* "tinymem: " + message + newline on stderr. */
void tmi_report(const char *format, ...) TMI_PRINTF(1, 2) TMI_COLD;

/* Report misuse: "tinymem: FUNCTION(POINTER): what", and then what a higher layer knows about the pointer. */
void tmi_report_misuse(const char *function, const void *pointer, const char *what) TMI_COLD;
extern void (*tmi_misuse_describer)(const char *function, const void *pointer, const char *what);

/* Report misuse or corruption, as tmi_report_misuse does, and abort. */
_Noreturn void tmi_fatal(const char *function, const void *pointer, const char *what) TMI_COLD;

/* For audits, in every build: if !ok, report a breach of the invariant at `where` as tmi_fatal does. */
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
