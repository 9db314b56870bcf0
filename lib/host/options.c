#include "host/options.h"
#include "host/report.h"

#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

typedef enum option_kind { KIND_flag, KIND_number, KIND_choice, KIND_path } option_kind_t;

typedef struct option_row {
    const char *name, *value, *choices, *help;
    void *where;
    option_kind_t kind;
} option_row_t;

tmi_options_t tmi_options;

static const option_row_t rows[] = {
#define TMI_OPTION(kind, name, value, choices, help) {#name, value, choices, help, &tmi_options.name, KIND_##kind},
#include "host/options.def"
#undef TMI_OPTION
};

/* Part of a text, not terminated. */
typedef struct slice {
    const char *at;
    size_t length;
} slice_t;

static slice_t slice_of(const char *s) { return (slice_t){s, strlen(s)}; }

static bool same(slice_t a, slice_t b) { return a.length == b.length && memcmp(a.at, b.at, a.length) == 0; }

/* Cuts the text up to the separator off *rest. */
static slice_t cut(slice_t *rest, char separator)
{
    const char *end = memchr(rest->at, separator, rest->length);
    slice_t head = {rest->at, end ? (size_t)(end - rest->at) : rest->length};
    size_t skip = head.length + (end != NULL);
    rest->at += skip;
    rest->length -= skip;
    return head;
}

/* Levenshtein distance of two short words (the rest of a long one counts as different). */
static unsigned distance(slice_t a, slice_t b)
{
    enum { WORD_MAX = 24 };
    unsigned row[WORD_MAX + 1];
    if (a.length > WORD_MAX || b.length > WORD_MAX)
        return WORD_MAX;
    for (size_t j = 0; j <= b.length; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= a.length; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.length; j++) {
            unsigned change = diagonal + (a.at[i - 1] != b.at[j - 1]);
            diagonal = row[j];
            unsigned shorter = row[j] < row[j - 1] ? row[j] : row[j - 1];
            row[j] = change < shorter + 1 ? change : shorter + 1;
        }
    }
    return row[b.length];
}

static const char *nearest_name(slice_t key)
{
    const option_row_t *best = &rows[0];
    for (size_t i = 1; i < TM_COUNT_OF(rows); i++)
        if (distance(key, slice_of(rows[i].name)) < distance(key, slice_of(best->name)))
            best = &rows[i];
    return best->name;
}

/* Index of value in "a|b|c", and through *nearest the most similar one. -1 when it is none of them. */
static int choice_index(const char *choices, slice_t value, slice_t *nearest)
{
    slice_t rest = slice_of(choices);
    unsigned best = ~0u;
    for (int i = 0; rest.length > 0; i++) {
        slice_t c = cut(&rest, '|');
        if (same(c, value))
            return i;
        if (distance(c, value) < best) {
            best = distance(c, value);
            *nearest = c;
        }
    }
    return -1;
}

static bool parse_number(slice_t value, uint32_t *out)
{
    uint64_t n = 0;
    for (size_t i = 0; i < value.length; i++) {
        if (value.at[i] < '0' || value.at[i] > '9' || (n = n * 10 + (uint64_t)(value.at[i] - '0')) > 1000000000)
            return false;
    }
    if (value.length > 0)
        *out = (uint32_t)n;
    return value.length > 0;
}

static void copy_slice(char *to, size_t size, slice_t from)
{
    size_t n = tmi_min(from.length, size - 1);
    memcpy(to, from.at, n);
    to[n] = '\0';
}

static void set(const option_row_t *row, slice_t value)
{
    char text[64];
    copy_slice(text, sizeof text, value);
    if (row->kind == KIND_path) {
        if (value.length < TMI_PATH_MAX)
            copy_slice(row->where, TMI_PATH_MAX, value);
        else
            tmi_report("option %s: path longer than %d bytes, not used", row->name, TMI_PATH_MAX - 1);
    } else if (row->kind == KIND_number) {
        if (!parse_number(value, row->where))
            tmi_report("option %s:%s is not a number of %s from 0 to 1000000000, using %s", row->name, text,
                       row->choices, row->value);
    } else {
        char right[64];
        slice_t nearest = {"", 0};
        int i = choice_index(row->choices, value, &nearest);
        copy_slice(right, sizeof right, nearest);
        if (i >= 0)
            *(uint32_t *)row->where = (uint32_t)i;
        else
            tmi_report("option %s:%s is unknown, did you mean %s:%s? using %s", row->name, text, row->name, right,
                       row->value);
    }
}

bool tmi_options_row(size_t i, tmi_option_text_t *out)
{
    static const char kinds[][8] = {
        [KIND_flag] = "flag", [KIND_number] = "number", [KIND_choice] = "choice", [KIND_path] = "path"};
    if (i >= TM_COUNT_OF(rows))
        return false;
    const option_row_t *r = &rows[i];
    *out = (tmi_option_text_t){kinds[r->kind], r->name, r->value, r->choices, r->help};
    return true;
}

static void help(void)
{
    tmi_report("version %s; set options with TINYMEM=key:value,key:value", TMI_VERSION);
    for (size_t i = 0; i < TM_COUNT_OF(rows); i++)
        tmi_report("  %s:%s  (%s) %s", rows[i].name, rows[i].value, rows[i].choices, rows[i].help);
}

static void parse_item(slice_t item)
{
    slice_t value = item, key = cut(&value, ':');
    if (item.length == 0)
        return;
    if (same(item, slice_of("help"))) {
        help();
        return;
    }
    for (size_t i = 0; i < TM_COUNT_OF(rows); i++)
        if (same(key, slice_of(rows[i].name))) {
            set(&rows[i], value);
            return;
        }
    char text[64];
    copy_slice(text, sizeof text, key);
    tmi_report("option %s is unknown, did you mean %s? ignored", text, nearest_name(key));
}

void tmi_options_parse(const char *text)
{
    for (size_t i = 0; i < TM_COUNT_OF(rows); i++)
        set(&rows[i], slice_of(rows[i].value));
    slice_t rest = slice_of(text ? text : "");
    while (rest.length > 0)
        parse_item(cut(&rest, ','));
}

/* Where the kernel put argc, argv and the environment: libc sets `environ` only in its constructor. */
extern void *__libc_stack_end __attribute__((weak));

static char **initial_environment(void)
{
    if (environ != NULL || &__libc_stack_end == NULL || __libc_stack_end == NULL)
        return environ;
    uintptr_t *stack = __libc_stack_end;
    return (char **)(stack + 1 + stack[0] + 1);
}

/* Compared without a string of ours: a process without options touches none of the library's constants. */
static bool is_ours(const char *variable)
{
    uint64_t first = 0;
    if (variable[0] != 'T')
        return false;
    for (unsigned i = 0; i < 8 && variable[i] != '\0'; i++)
        first = first << 8 | (unsigned char)variable[i];
    return first == 0x54494e594d454d3d; // TINYMEM=
}

static const char *given(void)
{
    const char *text = NULL;
    char **env = getauxval(AT_SECURE) ? NULL : initial_environment();
    for (; env != NULL && *env != NULL; env++)
        if (is_ours(*env))
            text = *env + 8;
    return text;
}

bool tmi_options_given(void) { return given() != NULL; }

void tmi_options_init(void) { tmi_options_parse(given()); }

size_t tmi_options_describe(char *buf, size_t size)
{
    size_t n = 0;
    buf[0] = '\0';
    for (size_t i = 0; i < TM_COUNT_OF(rows) && n + 1 < size; i++) {
        const option_row_t *row = &rows[i];
        n += tmi_format(buf + n, size - n, "%s%s:", i ? "," : "", row->name);
        if (row->kind == KIND_path) {
            n += tmi_format(buf + n, size - n, "%s", (const char *)row->where);
        } else if (row->kind == KIND_number) {
            n += tmi_format(buf + n, size - n, "%u", *(const uint32_t *)row->where);
        } else {
            slice_t rest = slice_of(row->choices), c = {"", 0};
            for (uint32_t k = 0; k <= *(const uint32_t *)row->where; k++)
                c = cut(&rest, '|');
            char name[16];
            copy_slice(name, sizeof name, c);
            n += tmi_format(buf + n, size - n, "%s", name);
        }
    }
    return n;
}
