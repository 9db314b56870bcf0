#include "os/options_impl.h"
#include "os/report.h"

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

tmi_options_t tmi_options;

const tmi_option_row_t tmi_option_rows[] = {
#define TMI_OPTION(kind, name, value, choices, help) {#name, value, choices, help, &tmi_options.name, KIND_##kind},
#include "os/options.def"
#undef TMI_OPTION
};
static const tmi_option_row_t *const rows = tmi_option_rows;

const tmi_option_row_t *tmi_option_row(tmi_slice_t name)
{
    for (size_t i = 0; i < TMI_OPTION_COUNT; i++)
        if (tmi_slice_same(name, tmi_slice_of(rows[i].name)))
            return &rows[i];
    return NULL;
}

int tmi_option_choice(const char *choices, tmi_slice_t value)
{
    tmi_slice_t rest = tmi_slice_of(choices);
    for (int i = 0; rest.length > 0; i++)
        if (tmi_slice_same(tmi_slice_cut(&rest, '|'), value))
            return i;
    return -1;
}

bool tmi_option_number(tmi_slice_t value, uint32_t *out)
{
    uint64_t n = 0;
    for (size_t i = 0; i < value.length; i++) {
        n = n * 10 + (uint64_t)(value.at[i] - '0');
        if (value.at[i] < '0' || value.at[i] > '9' || n > TMI_OPTION_NUMBER_MAX)
            return false;
    }
    if (value.length > 0)
        *out = (uint32_t)n;
    return value.length > 0;
}

/* The number that stands for a value. The row's kind is not a path. False: the value is not understood. */
static bool number_of(const tmi_option_row_t *row, tmi_slice_t value, uint32_t *out)
{
    if (row->kind == KIND_number)
        return tmi_option_number(value, out);
    int i = tmi_option_choice(row->choices, value);
    if (i >= 0)
        *out = (uint32_t)i;
    return i >= 0;
}

static void set(const tmi_option_row_t *row, tmi_slice_t value)
{
    if (row->kind == KIND_path) {
        if (value.length < TMI_PATH_MAX)
            tmi_slice_copy(row->where, TMI_PATH_MAX, value);
        else
            tmi_report("option %s: path longer than %d bytes, not used", row->name, TMI_PATH_MAX - 1);
    } else if (!number_of(row, value, row->where)) {
        if (row->kind == KIND_number)
            tmi_option_hint_number(row, value);
        else
            tmi_option_hint_choice(row, value);
    }
}

bool tmi_options_row(size_t i, tmi_option_text_t *out)
{
    static const char kinds[][8] = {
        [KIND_flag] = "flag", [KIND_number] = "number", [KIND_choice] = "choice", [KIND_path] = "path"};
    if (i >= TMI_OPTION_COUNT)
        return false;
    const tmi_option_row_t *r = &rows[i];
    *out = (tmi_option_text_t){kinds[r->kind], r->name, r->value, r->choices, r->help};
    return true;
}

static void help(void)
{
    tmi_report("version %s; set options with TINYMEM=key:value,key:value", TMI_VERSION);
    for (size_t i = 0; i < TMI_OPTION_COUNT; i++)
        tmi_report("  %s:%s  (%s) %s", rows[i].name, rows[i].value, rows[i].choices, rows[i].help);
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static tmi_slice_t trimmed(tmi_slice_t s)
{
    for (; s.length > 0 && is_blank(s.at[0]); s.length--)
        s.at++;
    while (s.length > 0 && is_blank(s.at[s.length - 1]))
        s.length--;
    return s;
}

/* Whether a text begins with an option and its ':'. */
static bool begins_option(tmi_slice_t text)
{
    text = trimmed(text);
    tmi_slice_t rest = text, name = tmi_slice_cut(&rest, ':');
    return name.length < text.length && tmi_option_row(name) != NULL;
}

/* Where another option begins that was separated by ';' or a blank; the length if there is none. A path may contain
 * both characters. */
static size_t wrong_separator(tmi_slice_t item)
{
    for (size_t i = 0; i < item.length; i++)
        if ((item.at[i] == ';' || is_blank(item.at[i])) &&
            begins_option((tmi_slice_t){item.at + i + 1, item.length - i - 1}))
            return i;
    return item.length;
}

static void parse_item(tmi_slice_t item)
{
    item = trimmed(item);
    tmi_slice_t value = item, key = tmi_slice_cut(&value, ':');
    const tmi_option_row_t *row = tmi_option_row(key);
    if (item.length == 0)
        return;
    if (row == NULL || row->kind != KIND_path) // as in stats:on;
        while (item.at[item.length - 1] == ';' && item.length > 1 && value.length > 0) {
            item.length--;
            value.length--;
        }
    if (tmi_slice_same(item, tmi_slice_of("help")))
        help();
    else if (row == NULL)
        tmi_option_hint_key(item, key);
    else
        set(row, value);
}

/* The text between two commas: one option, or several with a wrong separator. */
static void parse_items(tmi_slice_t item, bool *said)
{
    item = trimmed(item);
    for (size_t end; (end = wrong_separator(item)) < item.length;) {
        if (!*said)
            tmi_report("options are separated by ',' and not by %s; read as if they were",
                       item.at[end] == ';' ? "';'" : "blanks");
        *said = true;
        parse_item((tmi_slice_t){item.at, end});
        item = (tmi_slice_t){item.at + end + 1, item.length - end - 1};
    }
    parse_item(item);
}

void tmi_options_add(const char *text)
{
    bool said = false;
    tmi_slice_t rest = tmi_slice_of(text ? text : "");
    while (rest.length > 0)
        parse_items(tmi_slice_cut(&rest, ','), &said);
}

void tmi_options_parse(const char *text)
{
    for (size_t i = 0; i < TMI_OPTION_COUNT; i++)
        set(&rows[i], tmi_slice_of(rows[i].value));
    tmi_options_add(text);
}

/* Where the kernel put argc, argv and the environment. libc sets `environ` in its constructor, which is too late. */
extern void *__libc_stack_end __attribute__((weak));

static char **initial_environment(void)
{
    if (environ != NULL || &__libc_stack_end == NULL || __libc_stack_end == NULL)
        return environ;
    uintptr_t *stack = __libc_stack_end;
    return (char **)(stack + 1 + stack[0] + 1);
}

/* Compares without a string constant, so that a process without options touches no page of the library's constants. */
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

/* The options that the program has defined. The variable lies in the program, and is NULL until the program is
 * relocated. */
extern const char *tm_options __attribute__((weak, visibility("default")));

static const char *compiled_in(void) { return &tm_options != NULL ? tm_options : NULL; }

bool tmi_options_given(void) { return given() != NULL || compiled_in() != NULL; }

void tmi_options_init(void)
{
    tmi_options_parse(compiled_in());
    tmi_options_add(given());
}

/* ---- as text ----------------------------------------------------------------------------------------------------- */

size_t tmi_option_value(const tmi_option_row_t *row, char *buf, size_t size)
{
    if (row->kind == KIND_path)
        return tmi_format(buf, size, "%s", (const char *)row->where);
    uint32_t number = tmi_load_relaxed((const uint32_t *)row->where); // relaxed: one value by itself
    if (row->kind == KIND_number)
        return tmi_format(buf, size, "%u", number);
    tmi_slice_t rest = tmi_slice_of(row->choices), c = {"", 0};
    for (uint32_t k = 0; k <= number; k++)
        c = tmi_slice_cut(&rest, '|');
    char name[16];
    tmi_slice_copy(name, sizeof name, c);
    return tmi_format(buf, size, "%s", name);
}

size_t tmi_options_describe(char *buf, size_t size)
{
    size_t n = 0;
    buf[0] = '\0';
    for (size_t i = 0; i < TMI_OPTION_COUNT && n + 1 < size; i++) {
        n += tmi_format(buf + n, size - n, "%s%s:", i ? "," : "", rows[i].name);
        n += tmi_option_value(&rows[i], buf + n, size - n);
    }
    return n;
}

int tmi_options_get(const char *name, char *value, size_t size)
{
    char text[TMI_PATH_MAX];
    const tmi_option_row_t *row = tmi_option_row(tmi_slice_of(name));
    if (row == NULL)
        return ENOENT;
    size_t n = tmi_option_value(row, text, sizeof text);
    if (n >= size)
        return ERANGE;
    memcpy(value, text, n + 1);
    return 0;
}

/* The options that are read each time they matter. All others are read once. */
static bool is_live(const tmi_option_row_t *row)
{
    static const char *const live[] = {"purge_delay", "purge_keep",    "background", "compact_target", "compact_churn",
                                       "compact_cpu", "batch_objects", "batch_kib",  "stale"};
    for (size_t i = 0; i < TMI_COUNT_OF(live); i++)
        if (strcmp(row->name, live[i]) == 0)
            return true;
    return false;
}

int tmi_options_set(const char *name, const char *value)
{
    const tmi_option_row_t *row = tmi_option_row(tmi_slice_of(name));
    uint32_t number;
    if (row == NULL)
        return ENOENT;
    if (!is_live(row))
        return EPERM;
    if (!number_of(row, tmi_slice_of(value), &number))
        return EINVAL;
    tmi_store_relaxed((uint32_t *)row->where, number); // relaxed: readers need no other value with it
    return 0;
}
