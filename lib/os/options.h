/* options.h - settings from the program's tm_options and, with precedence, from TINYMEM=key:value,key:value.
 *
 * Both are read once, before the first allocation is served. Later tmi_options_set may change some options; the code
 * reads these with tmi_option(). For a key or value that is not understood the library prints one line on stderr, with
 * the nearest right one, and keeps the default. A program with AT_SECURE set (set-user-ID, for example) runs on the
 * defaults. TINYMEM=help lists the options on stderr. */
#ifndef TMI_OS_OPTIONS_H
#define TMI_OS_OPTIONS_H

#include "base/atomic.h"
#include "base/base.h"

enum { TMI_CHECK_FAST, TMI_CHECK_FULL };
enum { TMI_STATS_OFF, TMI_STATS_ON, TMI_STATS_JSON, TMI_STATS_PROMETHEUS };
enum { TMI_BACKGROUND_AUTO, TMI_BACKGROUND_ON, TMI_BACKGROUND_OFF };
enum { TMI_COMPACTION_BACKGROUND, TMI_COMPACTION_MANUAL, TMI_COMPACTION_OFF };
enum { TMI_FENCES_AUTO, TMI_FENCES_GLOBAL, TMI_FENCES_EXPEDITED, TMI_FENCES_NONE };
enum { TMI_STALE_ABORT, TMI_STALE_NULL, TMI_STALE_REPORT };
enum {
    TMI_PROFILE_HEAP,
    TMI_PROFILE_PPROF,
    TMI_PROFILE_FOLDED,
    TMI_PROFILE_DHAT,
    TMI_PROFILE_WORDS,
    TMI_PROFILE_LEAKS,
};
enum { TMI_UNWIND_AUTO, TMI_UNWIND_FP, TMI_UNWIND_LIBUNWIND, TMI_UNWIND_NONE };
enum { TMI_PATH_MAX = 256 };

typedef uint32_t tmi_option_flag_t, tmi_option_number_t, tmi_option_choice_t;
typedef char tmi_option_path_t[TMI_PATH_MAX];

typedef struct tmi_options {
#define TMI_OPTION(kind, name, value, choices, help) tmi_option_##kind##_t name;
#include "os/options.def"
#undef TMI_OPTION
} tmi_options_t;

extern tmi_options_t tmi_options;

/* The value of an option that a program may change at any time. Relaxed: no other data depends on it. */
#define tmi_option(name) tmi_load_relaxed(&tmi_options.name)

/* Set all options to their defaults, then those that `text` (or NULL) names. Errors are reported on stderr. */
void tmi_options_parse(const char *text);
/* Set the options that `text` names, and leave the others. */
void tmi_options_add(const char *text);
/* Whether the program defines tm_options, or the environment has TINYMEM and the process may use it. */
bool tmi_options_given(void);
/* Take tm_options, then find TINYMEM in the process's initial environment and parse it. Works before libc has set
 * `environ`. */
void tmi_options_init(void);
/* A row of the table in options.def. The kind is "flag", "number", "choice" or "path". */
typedef struct tmi_option_text {
    const char *kind, *name, *value, *choices, *help;
} tmi_option_text_t;
/* The i-th row. False: the table has no such row. */
bool tmi_options_row(size_t i, tmi_option_text_t *out);
/* "key:value,key:value" of all options, terminated. Returns the length. */
size_t tmi_options_describe(char *buf, size_t size);
/* One value as text: 0, ENOENT (no such option), ERANGE (no room for it). */
int tmi_options_get(const char *name, char *value, size_t size);
/* Change one option. Returns 0, ENOENT (no such option), EPERM (it is read only once) or EINVAL (the value is not
 * understood). Prints nothing. Any thread. */
int tmi_options_set(const char *name, const char *value);

#endif
