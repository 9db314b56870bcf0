/** options.h - the library's options from inside a program. tinymem(7) lists them.
 *
 *  A value comes from the last of these that sets it: the library's defaults; the program's tm_options; the environment
 *  variable TINYMEM, unless the program runs set-user-ID; tm_option_set. */
#ifndef TINYMEM_OPTIONS_H
#define TINYMEM_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Options that are compiled in. The library does not define this variable. A program may define it, in the syntax of
 *  TINYMEM:
 *
 *      const char *tm_options = "purge_delay:1000,huge:on";
 *
 *  The library reads it once, before the first allocation. A program that is not linked with the library, but started
 *  with LD_PRELOAD, must export the variable (gcc -rdynamic). */
extern const char *tm_options;

/** The value of an option as text, terminated.
 *  @return  true, or false with errno ENOENT: there is no such option; ERANGE: the value takes more than `size` bytes
 *           (256 are always enough). After an error `value` is unchanged.
 *  @thread  any; also before the first allocation. */
bool tm_option_get(const char *name, char *value, size_t size);

/** Change an option of the running process: purge_delay, purge_keep, background, compact_target, compact_churn,
 *  compact_cpu, batch_objects, batch_kib or stale. The new value takes effect when the library reads it next.
 *  @param value  in the syntax of TINYMEM: "on", "1000"
 *  @return  true, or false with errno ENOENT: there is no such option; EPERM: it can be set at the start only; EINVAL:
 *           the option does not take this value. Nothing is printed.
 *  @thread  any; also before the first allocation. */
bool tm_option_set(const char *name, const char *value);

#ifdef __cplusplus
}
#endif

#endif
