/* Parsing of the command line, messages, and figures in human-readable form. */
#include "tool.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void tool_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fflush(stdout);
    fputs("tinymem: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(TOOL_FAILED);
}

void tool_misused(const char *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "tinymem%s%s: ", command[0] != '\0' ? " " : "", command);
    vfprintf(stderr, format, args);
    fprintf(stderr, "; `tinymem help%s%s` tells how it is used\n", command[0] != '\0' ? " " : "", command);
    va_end(args);
    exit(TOOL_USAGE);
}

/* Set the option. Returns the number of words it uses: 1, or 2 with a separate value. */
static size_t take(const char *command, const tool_option_t *o, char **words, const char *value)
{
    if (o->flag != NULL) {
        if (value != NULL)
            tool_misused(command, "option %s takes no value", o->name);
        *o->flag = true;
        return 1;
    }
    *o->value = value != NULL ? value : words[1];
    if (*o->value == NULL)
        tool_misused(command, "option %s needs a value", o->name);
    return value != NULL ? 1 : 2;
}

static size_t take_one(const char *command, char **words, const tool_option_t *options)
{
    const char *equals = strchr(words[0], '=');
    size_t length = equals != NULL ? (size_t)(equals - words[0]) : strlen(words[0]);
    for (const tool_option_t *o = options; o->name != NULL; o++)
        if (strlen(o->name) == length && memcmp(o->name, words[0], length) == 0)
            return take(command, o, words, equals != NULL ? equals + 1 : NULL);
    tool_misused(command, "unknown option %s", words[0]);
}

size_t tool_take_options(const char *command, char **words, const tool_option_t *options)
{
    size_t kept = 0;
    bool ended = false;
    for (size_t i = 0; words[i] != NULL;) {
        if (!ended && strcmp(words[i], "--") == 0) {
            ended = true;
            i++;
        } else if (!ended && words[i][0] == '-' && words[i][1] != '\0') {
            i += take_one(command, words + i, options);
        } else {
            words[kept++] = words[i++];
        }
    }
    words[kept] = NULL;
    return kept;
}

const char *tool_only_word(const char *command, char **words, size_t n, const char *what)
{
    if (n == 0)
        tool_misused(command, "%s is missing", what);
    if (n > 1)
        tool_misused(command, "one word too many: %s", words[1]);
    return words[0];
}

unsigned long tool_number(const char *command, const char *what, const char *text, unsigned long max)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || strlen(text) > 18 || n > max)
        tool_misused(command, "%s is not %s (a number up to %lu)", text, what, max);
    return n;
}

bool tool_in_path(const char *name, char *to, size_t size)
{
    const char *search = getenv("PATH");
    struct stat st;
    for (const char *at = search != NULL ? search : "/bin:/usr/bin"; name[0] != '\0';) {
        size_t n = strcspn(at, ":");
        bool fits = (size_t)snprintf(to, size, "%.*s%s%s", (int)n, at, n > 0 ? "/" : "", name) < size;
        if (fits && stat(to, &st) == 0 && S_ISREG(st.st_mode) && access(to, X_OK) == 0)
            return true;
        if (at[n] == '\0')
            return false;
        at += n + 1;
    }
    return false;
}

void *tool_alloc(size_t nbytes)
{
    void *p = calloc(1, tmi_max(nbytes, 1));
    if (p == NULL)
        tool_fail("no memory: %zu bytes", nbytes);
    return p;
}

static char *next_text(void)
{
    static char texts[8][16];
    static unsigned next;
    return texts[next++ % 8];
}

static const char *scaled(size_t n, size_t step, const char *units[], size_t nunits)
{
    char *text = next_text();
    double value = (double)n;
    size_t i = 0;
    for (; value >= 9999.5 && i + 1 < nunits; i++)
        value /= (double)step;
    for (; i > 0 && value >= (double)step && i + 1 < nunits; i++)
        value /= (double)step;
    snprintf(text, 16, i == 0 || value >= 99.95 ? "%.0f %s" : "%.1f %s", value, units[i]);
    return text;
}

const char *tool_size(size_t nbytes)
{
    const char *units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    return scaled(nbytes, 1024, units, TMI_COUNT_OF(units));
}

const char *tool_count(size_t n)
{
    char *text = next_text();
    if (n < 1000000)
        snprintf(text, 16, "%zu", n);
    else
        snprintf(text, 16, n < 100000000 ? "%.1f M" : "%.0f M", (double)n / 1e6);
    return text;
}
