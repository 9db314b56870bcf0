/* options_impl.h - the table of options and parts of texts, for options*.c. */
#ifndef TMI_OS_OPTIONS_IMPL_H
#define TMI_OS_OPTIONS_IMPL_H

#include "os/options.h"

#include <string.h>

typedef enum option_kind { KIND_flag, KIND_number, KIND_choice, KIND_path } option_kind_t;

typedef struct tmi_option_row {
    const char *name, *value, *choices, *help;
    void *where;
    option_kind_t kind;
} tmi_option_row_t;

enum {
#define TMI_OPTION(kind, name, value, choices, help) TMI_OPTION_OF_##name,
#include "os/options.def"
#undef TMI_OPTION
    TMI_OPTION_COUNT
};

extern const tmi_option_row_t tmi_option_rows[TMI_OPTION_COUNT];

enum { TMI_OPTION_NUMBER_MAX = 1000000000, TMI_OPTION_TEXT_MAX = 64 };

/* Part of a text, not terminated. */
typedef struct tmi_slice {
    const char *at;
    size_t length;
} tmi_slice_t;

static inline tmi_slice_t tmi_slice_of(const char *s) { return (tmi_slice_t){s, strlen(s)}; }

static inline bool tmi_slice_same(tmi_slice_t a, tmi_slice_t b)
{
    return a.length == b.length && memcmp(a.at, b.at, a.length) == 0;
}

/* Cuts the text up to the separator off *rest. */
static inline tmi_slice_t tmi_slice_cut(tmi_slice_t *rest, char separator)
{
    const char *end = memchr(rest->at, separator, rest->length);
    tmi_slice_t head = {rest->at, end ? (size_t)(end - rest->at) : rest->length};
    size_t skip = head.length + (end != NULL);
    rest->at += skip;
    rest->length -= skip;
    return head;
}

/* Copy as a terminated string, cut to size. */
static inline void tmi_slice_copy(char *to, size_t size, tmi_slice_t from)
{
    size_t n = tmi_min(from.length, size - 1);
    memcpy(to, from.at, n);
    to[n] = '\0';
}

/* The row of a name, or NULL. */
const tmi_option_row_t *tmi_option_row(tmi_slice_t name);
/* Index of value in "a|b|c", or -1. */
int tmi_option_choice(const char *choices, tmi_slice_t value);
/* Digits only, up to TMI_OPTION_NUMBER_MAX. */
bool tmi_option_number(tmi_slice_t value, uint32_t *out);

/* The value in the form that TINYMEM takes, terminated and cut to size. Returns the length of what was written. */
size_t tmi_option_value(const tmi_option_row_t *row, char *buf, size_t size);

/* Print one line on stderr about a key or value that is not understood, with the one that was probably meant. `item` is
 * the whole key:value. */
void tmi_option_hint_key(tmi_slice_t item, tmi_slice_t key);
void tmi_option_hint_choice(const tmi_option_row_t *row, tmi_slice_t value);
void tmi_option_hint_number(const tmi_option_row_t *row, tmi_slice_t value);

#endif
